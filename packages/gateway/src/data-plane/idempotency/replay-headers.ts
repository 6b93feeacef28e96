import { overheadMs } from '../http/answer-headers.ts'
import type { RequestContext } from '../pipeline/request-context.ts'

/** Of the first answer these say something of its own call only. */
const OF_ONE_CALL: ReadonlySet<string> = new Set([
  'x-request-id',
  'x-tollgate-attempts',
  'x-tollgate-cache',
  'server-timing',
])

/** The head of an answer that was made for another call: that one's, with this caller's own ids. */
export function replayHeaders(
  ctx: RequestContext,
  first: readonly string[],
  firstRequestId: string,
): string[] {
  const { requestIdHeader } = ctx.protocol
  const headers: string[] = []
  for (let i = 0; i < first.length; i += 2) {
    const name = first[i] ?? ''
    // What is left of limits may be another number by now.
    const isStale = OF_ONE_CALL.has(name) || name === requestIdHeader || name.includes('ratelimit')
    if (!isStale) headers.push(name, first[i + 1] ?? '')
  }
  headers.push('x-request-id', ctx.requestId)
  if (requestIdHeader !== 'x-request-id') headers.push(requestIdHeader, ctx.requestId)
  headers.push('x-tollgate-attempts', '0', 'x-tollgate-cache', 'BYPASS')
  headers.push('idempotency-replay', 'true', 'x-tollgate-replay-of', firstRequestId)
  headers.push('server-timing', `gateway;dur=${overheadMs(ctx).toFixed(2)}`)
  return headers
}
