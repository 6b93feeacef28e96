import { type ExpressionBuilder, type ExpressionWrapper, type SqlBool } from 'kysely'
import type { RecordFilter } from '../../contracts/store.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
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

/** `404` or `4xx`. */
function statusRange(status: string): { from: number; to: number } {
  if (/^[1-5]xx$/i.test(status)) {
    const from = Number(status.charAt(0)) * 100
    return { from, to: from + 100 }
  }
  if (/^[1-5]\d\d$/.test(status)) return { from: Number(status), to: Number(status) + 1 }
  throw new GatewayError(
    'invalid_request',
    'status is a number such as 404 or a class such as 4xx.',
    {
      details: { param: 'status' },
    },
  )
}

/** A place between two records: the one it names and its older neighbour. */
export type Cursor = { readonly startedAtMs: number; readonly id: string }

export function writeCursor({ startedAtMs, id }: Cursor): string {
  return Buffer.from(`${startedAtMs}:${id}`).toString('base64url')
}

export function readCursor(text: string): Cursor {
  const match = /^(\d{1,16}):(.+)$/.exec(Buffer.from(text, 'base64url').toString())
  if (match?.[1] === undefined || match[2] === undefined) {
    throw new GatewayError('invalid_request', 'cursor must be the `next` of an earlier page.', {
      details: { param: 'cursor' },
    })
  }
  return { startedAtMs: Number(match[1]), id: match[2] }
}
