import type { IncomingHttpHeaders } from 'node:http'
import type { FailureClass } from '../../contracts/provider.ts'
import { GatewayError, type GatewayErrorCode } from '../../errors/gateway-error.ts'
import type { RetryPlan } from '../../plan/gateway-plan.ts'
import type { RequestContext } from './request-context.ts'
import type { Answer, Failure } from './run-attempts.ts'

/** The first pause; each further one is twice as long. Milliseconds. */
const FIRST_PAUSE_MS = 200
/** A provider that asks for more gets no second attempt: the next target's turn comes sooner. */
const MAX_PAUSE_MS = 10_000
/** How often a pause looks whether the client is still there. */
const LOOK_MS = 50

/** What the same target may do better a moment later. */
const PASSING: ReadonlySet<GatewayErrorCode> = new Set<GatewayErrorCode>([
  'upstream_unreachable',
  'upstream_truncated',
  'upstream_failed',
  'upstream_overloaded',
])
const PASSING_CLASSES: ReadonlySet<FailureClass> = new Set<FailureClass>([
  'rate_limited',
  'overloaded',
  'transient',
])

/** Asks one target again, as often as the policy says, after the pause that it asks for. */
export async function retryAttempts(
  ctx: RequestContext,
  retry: RetryPlan,
  attempt: () => Promise<Answer | Failure>,
): Promise<Answer | Failure> {
  let result = await attempt()
  for (let again = 0; again < retry.maxRetries; again++) {
    if (!('error' in result) || !mayPass(retry, result)) return result
    const pauseMs = pauseFor(result, again)
    if (pauseMs === null) return result
    await pause(ctx, pauseMs)
    result = await attempt()
  }
  return result
}

/** Whether the next target's turn has come: `retry_on` decides of statuses, where the policy has one. */
export function goesOn(ctx: RequestContext, { error, refused }: Failure): boolean {
  const retryOn = ctx.terms?.policy.retry?.retryOn ?? null
  if (retryOn === null || refused === null) return error.tryNext
  return retryOn.has(refused.answer.status)
}

function mayPass(retry: RetryPlan, { error, refused }: Failure): boolean {
  if (refused === null) return PASSING.has(error.code)
  if (retry.retryOn !== null) return retry.retryOn.has(refused.answer.status)
  return PASSING_CLASSES.has(refused.failureClass)
}

/** Null: longer than anybody waits here. */
function pauseFor({ refused }: Failure, again: number): number | null {
  const asked = refused === null ? null : retryAfterMs(refused.answer.headers)
  if (asked !== null) return asked <= MAX_PAUSE_MS ? asked : null
  const mostMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** again)
  return mostMs / 2 + (Math.random() * mostMs) / 2
}

const MS_PER_SECOND = 1000

function retryAfterMs(headers: IncomingHttpHeaders): number | null {
  const exact = Number(headers['retry-after-ms'] ?? Number.NaN)
  if (exact >= 0) return exact
  const text = headers['retry-after']
  if (text === undefined) return null
  if (/^\d+$/.test(text)) return Number(text) * MS_PER_SECOND
  const atMs = Date.parse(text)
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - Date.now())
}

/** The wait is the provider's, not the gateway's own time. Throws `cancelled` when the client leaves. */
async function pause(ctx: RequestContext, ms: number): Promise<void> {
  const startedMs = performance.now()
  for (let left = ms; left > 0; left = ms - (performance.now() - startedMs)) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(left, LOOK_MS)))
    if (ctx.clientGone) throw new GatewayError('cancelled', 'The client left.')
  }
  ctx.upstreamMs += performance.now() - startedMs
}
