import { REJECTION_REASONS, type RejectionReason } from '../../contracts/routing.ts'
import { GatewayError, type GatewayErrorCode } from '../../errors/gateway-error.ts'
import type { TargetPlan } from '../../plan/gateway-plan.ts'
import { known, type RouteContext } from '../pipeline/request-context.ts'
import type { Examined } from './reject-target.ts'
import { isReachable, RequestChecks } from './request-checks.ts'
import { largerTargets } from './spare-targets.ts'

/** How many candidates an error names. */
const MAX_NAMED = 20

/**
 * Targets that go on although none may be tried: those of a full limit, whose own reservation then says when there is room;
 * of a context that is too small the larger ones that the policy names; one whose circuit is open, which nothing is lost
 * by trying; or, of an endpoint that only counts, all that the caller may use, because the gateway counts by itself.
 */
export function serveAnyway(
  ctx: RouteContext,
  rejected: readonly Examined[],
): readonly TargetPlan[] {
  const full = rejected.filter(({ rejection }) => rejection?.reason === 'limit')
  if (full.length > 0) return full.map(({ target }) => target)
  const larger = escalated(ctx, rejected)
  if (larger.length > 0) return larger
  const open = ctx.plan.health.breaker.whenAllOpen === 'try' ? soonest(rejected) : null
  if (open !== null) return [open]
  if (ctx.endpoint.renderCount === undefined) return []
  const checks = new RequestChecks(ctx)
  const allowed = rejected.map(({ target }) => target).filter((one) => checks.permits(one))
  if (allowed.some((target) => isReachable(ctx, target))) return []
  ctx.countsHere = true
  return allowed
}

/** Where all that fits otherwise is too small. */
function escalated(ctx: RouteContext, rejected: readonly Examined[]): readonly TargetPlan[] {
  const small = rejected.filter(({ rejection }) => rejection?.reason === 'context_overflow')
  if (small.length === 0) return []
  const larger = largerTargets(
    ctx,
    small.map(({ target }) => target),
  )
  if (larger.length === 0) return []
  ctx.spares = new Map(larger.map((one) => [one, 'context_overflow']))
  if (ctx.decision !== null) ctx.decision = { ...ctx.decision, reason: 'escalated' }
  return larger
}

/** Of the targets whose circuits are open the one that may be tried first; null: there is none. */
function soonest(rejected: readonly Examined[]): TargetPlan | null {
  let first: TargetPlan | null = null
  let firstAtMs = Infinity
  for (const { target, rejection } of rejected) {
    if (rejection?.reason !== 'circuit_open') continue
    const atMs = rejection.block?.untilMs ?? 0
    if (atMs >= firstAtMs) continue
    first = target
    firstAtMs = atMs
  }
  return first
}

/** Of all reasons, the one that came last in the order of the checks: of the candidate that came closest. */
const CODES: Readonly<Record<RejectionReason, GatewayErrorCode>> = {
  disabled: 'model_not_found',
  not_allowed: 'model_not_allowed',
  capability: 'no_target_fits',
  context_overflow: 'context_length_exceeded',
  below_min_weight: 'no_target_fits',
  over_max_cost: 'no_target_fits',
  over_max_latency: 'no_target_fits',
  unpriced: 'model_unpriced',
  credential_missing: 'credential_missing',
  circuit_open: 'no_target_available',
  cooldown: 'targets_set_aside',
  limit: 'rate_limit_exceeded',
}

/** Why no target can serve the request: every candidate with its reason. */
export function noTargetError(ctx: RouteContext, rejected: readonly Examined[]): GatewayError {
  const reasons = new Set(rejected.flatMap(({ rejection }) => rejection?.reason ?? []))
  const closest = REJECTION_REASONS.findLast((one) => reasons.has(one)) ?? 'disabled'
  const { model } = known(ctx.envelope, 'envelope')
  if (closest === 'not_allowed') {
    const problem = `This key may not use the model "${model}".`
    return new GatewayError('model_not_allowed', problem, { details: { param: 'model' } })
  }
  if (closest === 'capability' && !rejected.some(({ target }) => isReachable(ctx, target))) {
    return notServed(ctx, rejected)
  }
  const code = reasons.has('circuit_open') ? 'no_target_available' : CODES[closest]
  const problem = `No target can serve the model "${model}" now: ${listed(rejected)}.`
  const headers = retryHeaders(rejected, ctx.dataPlane.clock.monotonicMs())
  return new GatewayError(code, problem, {
    details: {
      param: 'model',
      ...(headers === null ? {} : { headers }),
      candidates: rejected.map(({ target, rejection }) => ({
        target: target.id,
        reason: rejection?.reason ?? '',
        detail: rejection?.detail ?? '',
      })),
    },
  })
}

function listed(rejected: readonly Examined[]): string {
  const named = rejected.slice(0, MAX_NAMED).map(({ target, rejection }) => {
    return `${target.id}: ${rejection?.reason ?? ''} (${rejection?.detail ?? ''})`
  })
  const more = rejected.length - named.length
  return more > 0 ? `${named.join('; ')}; and ${more} more` : named.join('; ')
}

function notServed(ctx: RouteContext, rejected: readonly Examined[]): GatewayError {
  const spoken = [...new Set(rejected.flatMap(({ target }) => target.provider.protocols))]
  const problem = `This model is served in ${spoken.join(', ')}, and this endpoint is not translated from ${ctx.protocol.id}.`
  return new GatewayError('protocol_not_served', problem, { details: { param: 'model' } })
}

const MS_PER_SECOND = 1000

/** When the first of them may be tried again; null: none is only set aside. */
function retryHeaders(
  rejected: readonly Examined[],
  nowMs: number,
): Readonly<Record<string, string>> | null {
  const times = rejected.flatMap(({ rejection }) => rejection?.block?.untilMs ?? [])
  if (times.length === 0) return null
  const leftMs = Math.max(1, Math.ceil(Math.min(...times) - nowMs))
  return {
    'retry-after': String(Math.ceil(leftMs / MS_PER_SECOND)),
    'retry-after-ms': String(leftMs),
  }
}
