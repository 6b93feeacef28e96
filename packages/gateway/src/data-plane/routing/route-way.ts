import {
  BUILT_IN_MODES,
  type ModeWeights,
  NO_HINTS,
  type RoutingHints,
  type Strategy,
} from '../../contracts/routing.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { didYouMean } from '../../lib/did-you-mean.ts'
import { THOMPSON } from '../../plan/compile-routing.ts'
import type { ModelPlan } from '../../plan/gateway-plan.ts'
import { known, type RouteContext } from '../pipeline/request-context.ts'

/** How the order is found. */
export type Way = {
  readonly strategy: Strategy
  /** Of `score`; null: another strategy. */
  readonly mode: string | null
  readonly weights: ModeWeights
}

const EVEN: ModeWeights = { cost: 0.25, latency: 0.25, failure: 0.25, weight: 0.25 }

/**
 * The client's mode, else what the policy says, else the model's own strategy. A mode asks for the strategy `score`, the
 * mode `thompson` for the bandit's order. Throws `invalid_request` for a mode of the client that does not exist.
 */
export function wayFor(ctx: RouteContext, model: ModelPlan): Way {
  const asked = ctx.hints?.mode ?? null
  if (asked !== null) return askedWay(ctx, asked)
  const { defaultMode } = ctx.plan.routing
  const own = known(ctx.terms, 'terms').policy.routing
  const strategy = own?.strategy ?? null
  const mode = own?.mode ?? null
  if (mode !== null && (strategy === null || strategy === 'score')) return modeWay(ctx, mode)
  const chosen = strategy ?? model.strategy
  if (chosen === 'score') return modeWay(ctx, defaultMode)
  return { strategy: chosen, mode: null, weights: EVEN }
}

function askedWay(ctx: RouteContext, mode: string): Way {
  const { modes } = ctx.plan.routing
  if (modes.has(mode) || mode === THOMPSON) return modeWay(ctx, mode)
  const near = didYouMean(mode, [...modes.keys(), THOMPSON])
  const problem = `mode: no mode "${mode}" is known${near}.`
  throw new GatewayError('invalid_request', problem, { details: { param: 'mode' } })
}

function modeWay(ctx: RouteContext, mode: string): Way {
  if (mode === THOMPSON) return { strategy: 'thompson', mode, weights: EVEN }
  const weights = ctx.plan.routing.modes.get(mode) ?? BUILT_IN_MODES['normal'] ?? EVEN
  return { strategy: 'score', mode, weights }
}

/** What the client asks and what its policy says, the tighter of each. */
export function hintsFor(ctx: RouteContext): RoutingHints {
  const own = known(ctx.terms, 'terms').policy.routing
  const asked = ctx.hints
  if (own === null) return asked ?? NO_HINTS
  return {
    mode: asked?.mode ?? own.mode,
    maxCostNanoUsd: smaller(asked?.maxCostNanoUsd ?? null, own.maxCostNanoUsd),
    maxLatencyMs: smaller(asked?.maxLatencyMs ?? null, own.maxLatencyMs),
    minWeight: larger(asked?.minWeight ?? null, own.minWeight),
  }
}

function smaller(one: number | null, other: number | null): number | null {
  if (one === null || other === null) return one ?? other
  return Math.min(one, other)
}

function larger(one: number | null, other: number | null): number | null {
  if (one === null || other === null) return one ?? other
  return Math.max(one, other)
}
