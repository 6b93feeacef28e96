import type { ExpressionBuilder, ExpressionWrapper, SqlBool } from 'kysely'
import type { RecordFilter } from '../../contracts/store.ts'
import { statusRange } from '../filter-values.ts'
import type { Tables } from './tables.ts'
import { toText } from './to-text.ts'

type Where = ExpressionBuilder<Tables, 'tollgate.records'>
type Condition = ExpressionWrapper<Tables, 'tollgate.records', SqlBool>

const TEXT_COLUMNS = [
  ['keyId', 'key_id'],
  ['model', 'model'],
  ['provider', 'provider'],
  ['project', 'project'],
  ['requestId', 'request_id'],
] as const

/** The conditions of a filter. Since is included, until is not. */
export function filterConditions(where: Where, filter: RecordFilter): Condition[] {
  const conditions: Condition[] = []
  for (const [member, column] of TEXT_COLUMNS) {
    const wanted = filter[member]
    if (wanted !== undefined) conditions.push(where(column, '=', toIndexedText(wanted)))
  }
  if (filter.sinceMs !== undefined) conditions.push(where('started_at_ms', '>=', filter.sinceMs))
  if (filter.untilMs !== undefined) conditions.push(where('started_at_ms', '<', filter.untilMs))
  if (filter.status !== undefined) {
    const { from, to } = statusRange(filter.status)
    conditions.push(where('status', '>=', from), where('status', '<', to))
  }
  return conditions
}

/** An index of Postgres takes 2,704 bytes; a character is four at most. The whole text is in the record's body. */
const MOST_CHARACTERS = 500

export function toIndexedText(value: string): string {
  return toText(value.slice(0, MOST_CHARACTERS))
}
