import type { AttemptOutcome, TargetBlock } from '../../contracts/routing.ts'
import type { GatewayError, GatewayErrorCode } from '../../errors/gateway-error.ts'
import type { TargetPlan } from '../../plan/gateway-plan.ts'
import { headField } from '../http/request-head.ts'
import type { RequestContext } from './request-context.ts'

type FailureOf = AttemptOutcome['failure']

/** Why nothing is sent to this target now; null: the attempt has begun. `anyway`: its circuit does not matter. */
export function beginAttempt(
  ctx: RequestContext,
  { healthId }: TargetPlan,
  anyway: boolean,
): TargetBlock | null {
  const { targets } = ctx.dataPlane
  if (targets === null) return null
  const nowMs = performance.now()
  ctx.ticket = anyway ? targets.beginAnyway(healthId, nowMs) : targets.begin(healthId, nowMs)
  if (ctx.ticket !== null) return null
  return (
    targets.blocked(healthId, nowMs) ?? { reason: 'circuit_open', failure: null, untilMs: nowMs }
  )
}

/**
 * Counts the first attempt of a call at a provider. False: the client makes its call again while the provider is in trouble,
 * and has used up what such calls may cost it.
 */
export function mayBeAsked(ctx: RequestContext, { provider }: TargetPlan): boolean {
  const { ticket, dataPlane, plan } = ctx
  if (ticket === null || ctx.attemptCount > 0) return true
  const { retries } = plan.health
  const nowMs = performance.now()
  if (!ticket.troubled || !isClientsRetry(ctx)) {
    dataPlane.retries.earn(provider.name, retries, nowMs)
    return true
  }
  return dataPlane.retries.take(provider.name, retries, { asked: false, nowMs })
}

/** As its official client says. */
function isClientsRetry({ protocol, head }: RequestContext): boolean {
  const { retryCountHeader } = protocol
  if (retryCountHeader === undefined) return false
  const count = headField(head, retryCountHeader)
  return count !== null && /^[1-9]\d*$/.test(count)
}

/** The first byte of an answer came. */
export function noteAnswered(ctx: RequestContext): void {
  if (ctx.ticket === null) return
  const nowMs = performance.now()
  ctx.dataPlane.targets?.answered(ctx.ticket, nowMs - ctx.attemptStartedMs, nowMs)
}

/** Once for each attempt that was begun. */
export function endAttempt(
  ctx: RequestContext,
  failure: FailureOf,
  stated: { readonly waitMs: number | null } | null = null,
): void {
  const { ticket } = ctx
  if (ticket === null) return
  ctx.ticket = null
  const setAsideMs = stated?.waitMs ?? (failure === 'quota' ? ctx.plan.health.quotaMs : null)
  ctx.dataPlane.targets?.end(ticket, { failure, latencyMs: null, setAsideMs }, performance.now())
}

/** What an error says of the target; `cancelled`: nothing, because it is the client's, or our own. */
export function failureOf(error: GatewayError): Exclude<FailureOf, null> {
  return FAILURES[error.code] ?? 'cancelled'
}

const FAILURES: Partial<Record<GatewayErrorCode, Exclude<FailureOf, null>>> = {
  upstream_auth: 'auth',
  upstream_unreachable: 'transient',
  upstream_redirect: 'transient',
  upstream_invalid: 'transient',
  upstream_failed: 'transient',
  upstream_truncated: 'transient',
  upstream_overloaded: 'overloaded',
  upstream_timeout: 'timeout',
}
