import { isRecord } from '../lib/is-record.ts'
import { waitMs } from '../lib/stated-wait.ts'

/**
 * The delay that Google puts into the details of an error, in milliseconds; null: none.
 *
 * @see https://cloud.google.com/apis/design/errors#error_details (google.rpc.RetryInfo; from general knowledge)
 */
export function readRetryDelay(error: Readonly<Record<string, unknown>>): number | null {
  const { details } = error
  if (!Array.isArray(details)) return null
  for (const detail of details) {
    if (!isRecord(detail)) continue
    const { '@type': type, retryDelay } = detail
    if (typeof type !== 'string' || !type.endsWith('google.rpc.RetryInfo')) continue
    if (typeof retryDelay === 'string') return waitMs(retryDelay, 0)
  }
  return null
}
