import { type ExpressionBuilder, type ExpressionWrapper, type SqlBool } from 'kysely'
import type { RecordFilter } from '../../contracts/store.ts'
import { statusRange } from '../filter-values.ts'
import type { Tables } from './tables.ts'

type Where = ExpressionBuilder<Tables, 'records'>
type Condition = ExpressionWrapper<Tables, 'records', SqlBool>

/** The conditions of a filter. Since is included, until is not. */
export function filterConditions(where: Where, filter: RecordFilter): Condition[] {
  const conditions: Condition[] = []
  if (filter.keyId !== undefined) conditions.push(where('key_id', '=', filter.keyId))
  if (filter.model !== undefined) conditions.push(where('model', '=', filter.model))
  if (filter.provider !== undefined) conditions.push(where('provider', '=', filter.provider))
  if (filter.project !== undefined) conditions.push(where('project', '=', filter.project))
  if (filter.requestId !== undefined) conditions.push(where('request_id', '=', filter.requestId))
  if (filter.sinceMs !== undefined) conditions.push(where('started_at_ms', '>=', filter.sinceMs))
  if (filter.untilMs !== undefined) conditions.push(where('started_at_ms', '<', filter.untilMs))
  if (filter.status !== undefined) {
    const { from, to } = statusRange(filter.status)
    conditions.push(where('status', '>=', from), where('status', '<', to))
  }
  return conditions
}
