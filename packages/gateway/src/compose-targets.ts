import type { EventBus } from './contracts/event.ts'
import { MemoryTargetBook, type TargetChange } from './data-plane/routing/target-book.ts'
import { SYSTEM_CLOCK } from './lib/clock.ts'
import type { GatewayPlan } from './plan/gateway-plan.ts'

/** The book of targets, with its changes told as events. */
export function composeTargets(plan: () => GatewayPlan, events: EventBus): MemoryTargetBook {
  const book = new MemoryTargetBook({
    breaker: () => plan().health.breaker,
    onChange: (change) => tell(events, change),
  })
  book.usePlan(plan(), SYSTEM_CLOCK.monotonicMs())
  return book
}

const CIRCUIT_EVENTS = {
  closed: 'circuit.closed',
  open: 'circuit.opened',
  half_open: 'circuit.half_open',
} as const
const STATE_EVENTS = {
  healthy: 'target.recovered',
  degraded: 'target.degraded',
  down: 'target.down',
} as const

function tell(events: EventBus, change: TargetChange): void {
  const { target } = change
  switch (change.kind) {
    case 'circuit':
      return events.emit(CIRCUIT_EVENTS[change.to], { target })
    case 'state': {
      const data = { target, from: change.from, to: change.to }
      events.emit('target.health_changed', data)
      return events.emit(STATE_EVENTS[change.to], data)
    }
    case 'set_aside': {
      const until = new Date(wallMs(change.untilMs)).toISOString()
      return events.emit('target.set_aside', { target, reason: change.failure, until })
    }
  }
}

/** The wall clock's time of a monotonic one. */
export function wallMs(monotonicMs: number): number {
  return SYSTEM_CLOCK.wallMs() + (monotonicMs - SYSTEM_CLOCK.monotonicMs())
}
