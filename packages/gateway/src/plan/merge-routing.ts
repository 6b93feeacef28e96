import type { Strategy } from '../contracts/routing.ts'
import { parseDurationMs } from '../lib/duration.ts'
import { nanoUsd } from './compile-limit.ts'
import type { HedgePlan, PolicyRoutingPlan, RescuePlan } from './gateway-plan.ts'
import {
  addNumber,
  addScalar,
  type PolicyConflict,
  type PolicyLayer,
  type Sourced,
  sourced,
  strictest,
} from './sourced.ts'

/** How targets are chosen, merged: of the way the later one, of the bounds the strictest. */
export type MergedRouting = {
  readonly mode: Sourced<string> | null
  readonly strategy: Sourced<Strategy> | null
  readonly contentFallbacks: Sourced<readonly string[]> | null
  readonly escalate: Sourced<boolean | readonly string[]> | null
  /** `p95`, or a duration. */
  readonly hedgeAfter: Sourced<string> | null
  /** US dollars. */
  readonly maxCost: readonly Sourced<number>[]
  readonly maxLatencyMs: readonly Sourced<number>[]
  readonly minWeight: readonly Sourced<number>[]
  readonly directives: readonly Sourced<boolean>[]
}

export const NO_MERGED_ROUTING: MergedRouting = {
  mode: null,
  strategy: null,
  contentFallbacks: null,
  escalate: null,
  hedgeAfter: null,
  maxCost: [],
  maxLatencyMs: [],
  minWeight: [],
  directives: [],
}

export function mergeRouting(
  merged: MergedRouting,
  layer: PolicyLayer,
  conflicts: PolicyConflict[],
): MergedRouting {
  const routing = layer.policy.routing ?? {}
  const { mode, strategy, max_latency: latency, content_fallbacks: content, escalate } = routing
  const later = <T>(before: Sourced<T> | null, value: T | undefined, field: string) =>
    value === undefined ? before : sourced(value, layer, field)
  return {
    mode: mode === undefined ? merged.mode : sourced(mode, layer, 'routing.mode'),
    strategy:
      strategy === undefined ? merged.strategy : sourced(strategy, layer, 'routing.strategy'),
    contentFallbacks: later(merged.contentFallbacks, content, 'routing.content_fallbacks'),
    hedgeAfter: later(merged.hedgeAfter, routing.hedge?.after, 'routing.hedge.after'),
    escalate: later(merged.escalate, escalate, 'routing.escalate'),
    maxCost: addNumber(merged.maxCost, layer, {
      field: 'routing.max_cost',
      value: routing.max_cost ?? routing.max_budget_usd,
      conflicts,
    }),
    maxLatencyMs: addNumber(merged.maxLatencyMs, layer, {
      field: 'routing.max_latency',
      value: latency === undefined ? routing.max_latency_ms : parseDurationMs(latency),
      conflicts,
    }),
    minWeight: addScalar(merged.minWeight, layer, {
      field: 'routing.min_weight',
      value: routing.min_weight,
      looser: (value, before) => value < before,
      conflicts,
    }),
    directives: addScalar(merged.directives, layer, {
      field: 'routing.directives',
      value: routing.directives,
      looser: (value, before) => value && !before,
      conflicts,
    }),
  }
}

/** Null: attempts are alone. */
export function compileHedge({ hedgeAfter }: MergedRouting): HedgePlan | null {
  if (hedgeAfter === null) return null
  const { value } = hedgeAfter
  return { afterMs: value === 'p95' ? null : parseDurationMs(value) }
}

/** Null: nothing stands in after such failures. */
export function compileRescue({ contentFallbacks, escalate }: MergedRouting): RescuePlan | null {
  const names = contentFallbacks?.value ?? []
  const larger = escalate?.value ?? false
  if (names.length === 0 && larger === false) return null
  return {
    contentFallbacks: names,
    escalate: larger === true ? 'any' : larger === false ? null : larger,
  }
}

/** Null: nothing is said. */
export function compileRouting(merged: MergedRouting): PolicyRoutingPlan | null {
  const { mode, strategy, minWeight } = merged
  const maxCost = strictest(merged.maxCost)
  const maxLatencyMs = strictest(merged.maxLatencyMs)
  const bounds = [...minWeight, ...merged.maxCost, ...merged.maxLatencyMs]
  if (mode === null && strategy === null && bounds.length === 0) return null
  return {
    mode: mode?.value ?? null,
    strategy: strategy?.value ?? null,
    maxCostNanoUsd: maxCost === null ? null : nanoUsd(maxCost, 'routing.max_cost'),
    maxLatencyMs,
    minWeight: minWeight.length === 0 ? null : Math.max(...minWeight.map(({ value }) => value)),
  }
}
