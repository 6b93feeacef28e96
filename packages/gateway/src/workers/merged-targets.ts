import type { CircuitState, HealthState, TargetSignals } from '../contracts/routing.ts'
import type { SentTarget } from './messages.ts'

const STATES: readonly HealthState[] = ['healthy', 'degraded', 'down']
const CIRCUITS: readonly CircuitState[] = ['closed', 'half_open', 'open']

export type NamedSignals = TargetSignals & { readonly target: string }

/** What all workers know of their targets: of each, the worst that one of them has seen; calls under way are added up. */
export function mergeTargets(
  seen: readonly SentTarget[],
  nowMs: number,
): ReadonlyMap<string, NamedSignals> {
  const merged = new Map<string, NamedSignals>()
  for (const { setAsideForMs, ...rest } of seen) {
    const own = { ...rest, setAsideUntilMs: setAsideForMs === null ? null : nowMs + setAsideForMs }
    const other = merged.get(own.target)
    merged.set(own.target, other === undefined ? own : worse(own, other))
  }
  return merged
}

function worse(one: NamedSignals, other: NamedSignals): NamedSignals {
  return {
    target: one.target,
    state: later(STATES, one.state, other.state),
    circuit: later(CIRCUITS, one.circuit, other.circuit),
    setAsideUntilMs: greater(one.setAsideUntilMs, other.setAsideUntilMs),
    latencyMs: greater(one.latencyMs, other.latencyMs),
    failureShare: Math.max(one.failureShare, other.failureShare),
    consecutiveFailures: Math.max(one.consecutiveFailures, other.consecutiveFailures),
    inFlight: one.inFlight + other.inFlight,
  }
}

function later<T>(order: readonly T[], one: T, other: T): T {
  return order.indexOf(one) > order.indexOf(other) ? one : other
}

function greater(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.max(one, other)
}
