import type { Demand } from '../../contracts/limit.ts'
import type { TargetPlan } from '../../plan/gateway-plan.ts'
import { targetPermitted } from '../../plan/model-permission.ts'
import { targetCharges } from '../limits/late-charges.ts'
import { known, publicModel, type RouteContext } from '../pipeline/request-context.ts'
import { bridgeTo, speaksNatively } from '../translation/translate-request.ts'
import type { TargetChecks } from './select-query.ts'
import { termsBeside } from './terms-for.ts'

/** The least that any request takes: a limit without room for it is full. */
const LEAST: Demand = {
  inputTokens: 1,
  outputTokens: 1,
  fixedCostPicoUsd: 0,
  outputPicoUsd: 1,
}

/** What one request lets be said of each target. */
export class RequestChecks implements TargetChecks {
  readonly #ctx: RouteContext

  constructor(ctx: RouteContext) {
    this.#ctx = ctx
  }

  permits(target: TargetPlan): boolean {
    const ctx = this.#ctx
    const name = publicModel(ctx, target)
    const own = termsBeside(known(ctx.key, 'key'), name, known(ctx.terms, 'terms'))
    return own !== null && targetPermitted(own.policy, name, target)
  }

  reaches(target: TargetPlan): boolean {
    return isReachable(this.#ctx, target)
  }

  /** Takes nothing: another request may be quicker, and then its own reservation says so. */
  hasRoom(target: TargetPlan): boolean {
    const ctx = this.#ctx
    if (known(ctx.terms, 'terms').lateLimits.length === 0) return true
    const charges = targetCharges(ctx, target).filter(({ limit }) => limit.mode === 'enforce')
    return charges.length === 0 || ctx.dataPlane.gate.fits(charges, LEAST)
  }
}

/** By the request's own bytes, or by a translation. */
export function isReachable(ctx: RouteContext, { provider }: TargetPlan): boolean {
  return speaksNatively(ctx, provider) || bridgeTo(ctx, provider) !== null
}

/** Its circuit is open, or its provider asked to be left alone. */
export function isSetAside({ dataPlane }: RouteContext, { healthId }: TargetPlan): boolean {
  const { targets, clock } = dataPlane
  return targets !== null && targets.blocked(healthId, clock.monotonicMs()) !== null
}
