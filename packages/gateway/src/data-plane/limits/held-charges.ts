import type { DurableCharge, HeldCharge } from '../../contracts/durable-charge.ts'
import type { LimitCharge } from '../../contracts/limit.ts'
import { bareLimit } from './bare-limit.ts'
import { isDurable } from './counter-state.ts'
import type { Hold } from './open-reservation.ts'

export function heldOf(holds: readonly Hold[]): readonly HeldCharge[] {
  const held: HeldCharge[] = []
  for (const { counter, limit, amount, ticket } of holds) {
    if (!isDurable(counter)) continue
    const { id, scope, unit, algorithm } = limit
    const { key, value, era } = counter
    held.push({ counter: key, amount, at: ticket, era: era.id, id, scope, value, unit, algorithm })
  }
  return held
}

export function settledOf(holds: readonly Hold[]): readonly DurableCharge[] {
  const settled: DurableCharge[] = []
  for (const { counter, used, ticket, era } of holds) {
    if (used === null || used === 0 || !isDurable(counter)) continue
    settled.push({ counter: counter.key, amount: used, at: ticket, era })
  }
  return settled
}

/** Enough of a limit to make its counter; the first request brings the limit as it is configured now. */
export function chargeOf(held: HeldCharge): LimitCharge {
  const { id, scope, unit, algorithm, value, counter } = held
  const limit = bareLimit({ id, scope, unit, algorithm })
  return { limit, value, counterKey: counter }
}
