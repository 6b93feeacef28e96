import type { CircuitState, HealthState, TargetSignals } from '../../contracts/routing.ts'
import type { Clock } from '../../lib/clock.ts'
import { type Family, labelledGaugeFamily } from './families.ts'

type Seen = TargetSignals & { readonly target: string }

/** Names of on-demand targets come from clients: so many get series of their own. */
const MOST_TARGETS = 300
const STATES: Readonly<Record<HealthState, number>> = { down: 0, degraded: 1, healthy: 2 }
const CIRCUITS: Readonly<Record<CircuitState, number>> = { closed: 0, half_open: 1, open: 2 }
const MS_PER_S = 1000

/** What targets have shown, read at each scrape. */
export function targetGauges(read: () => readonly Seen[], clock: Clock): readonly Family[] {
  const family = (name: string, help: string, value: (seen: Seen) => number | null): Family =>
    labelledGaugeFamily(name, help, () =>
      read()
        .slice(0, MOST_TARGETS)
        .flatMap((seen) => {
          const one = value(seen)
          return one === null ? [] : [{ labels: { target: seen.target }, value: one }]
        }),
    )
  return [
    family('tollgate_target_state', '2 healthy, 1 degraded, 0 down.', ({ state }) => STATES[state]),
    family(
      'tollgate_circuit_state',
      '0 closed, 1 half open, 2 open.',
      ({ circuit }) => CIRCUITS[circuit],
    ),
    family(
      'tollgate_target_set_aside_seconds',
      'Until the target may be called again.',
      ({ setAsideUntilMs: untilMs }) =>
        untilMs === null ? 0 : Math.max(0, untilMs - clock.monotonicMs()) / MS_PER_S,
    ),
    family(
      'tollgate_target_failure_share',
      'Share of failures, fading with time.',
      ({ failureShare }) => failureShare,
    ),
    family(
      'tollgate_target_consecutive_failures',
      'Failures in a row.',
      ({ consecutiveFailures }) => consecutiveFailures,
    ),
    family('tollgate_target_in_flight', 'Calls under way.', ({ inFlight }) => inFlight),
    family(
      'tollgate_target_latency_seconds',
      'Peak-sensitive average of the time to the first byte.',
      ({ latencyMs }) => (latencyMs === null ? null : latencyMs / MS_PER_S),
    ),
  ]
}
