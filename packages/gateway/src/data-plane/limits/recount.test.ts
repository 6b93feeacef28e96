import { describe, expect, it } from 'vitest'
import type { DurableCharge, DurableGate } from '../../contracts/durable-charge.ts'
import type { CounterState, LimitAlgorithm, LimitCharge } from '../../contracts/limit.ts'
import { DAY, HOUR } from '../../testing/gate-fixtures.ts'
import { VirtualClock } from '../../testing/virtual-clock.ts'
import { chargeOf } from './held-charges.ts'
import { createMemoryGate } from './memory-gate.ts'
import { recount } from './recount.ts'

const ALGORITHMS: readonly LimitAlgorithm[] = [
  { kind: 'lifetime', amount: 1e9 },
  { kind: 'fixed', amount: 1e9, window: HOUR, align: 'clock' },
  { kind: 'fixed', amount: 1e9, window: DAY, align: 'first_use' },
  { kind: 'sliding', amount: 1e9, window: DAY },
]
const CHARGES: readonly LimitCharge[] = ALGORITHMS.map((algorithm, i) =>
  chargeOf({
    counter: `limit-${i}|key|a`,
    amount: 0,
    at: 0,
    era: 0,
    id: `limit-${i}`,
    scope: 'key',
    value: 'a',
    unit: 'tokens',
    algorithm,
  }),
)
const DEMAND = { inputTokens: 100, outputTokens: 50, fixedCostPicoUsd: 0, outputPicoUsd: 0 }
const ACTUAL = { inputTokens: 90, outputTokens: 7, costNanoUsd: 0 }

function gateAt(clock: VirtualClock, states: readonly CounterState[] = []): DurableGate {
  const gate = createMemoryGate({ clock, onAlert: () => {} })
  gate.restore(states)
  return gate
}

/** One request from its reservation to its record. */
function spend(gate: DurableGate, records: DurableCharge[]): void {
  const result = gate.reserve(CHARGES, DEMAND)
  if (!result.ok) throw new Error('refused')
  gate.settle(result.reservation, ACTUAL)
  records.push(...gate.durable.settled(result.reservation))
}

const differences = (
  states: readonly CounterState[],
  records: readonly DurableCharge[],
): number[] =>
  recount(states, records).map(({ counted, recounted }) => counted - (recounted ?? Number.NaN))

describe('recount', () => {
  it('comes to the counters, over windows, a reset and a crash with calls under way', () => {
    const clock = new VirtualClock()
    const records: DurableCharge[] = []
    const gate = gateAt(clock)
    for (let i = 0; i < 40; i++) {
      spend(gate, records)
      clock.advance(10 * 60_000)
      if (i === 11) gate.reset('limit-0', null)
    }
    const saved = new Map(gate.takeChanged().map((state) => [state.counterKey, state]))
    expect(differences([...saved.values()], records)).toEqual([0, 0, 0, 0])

    const open = gate.reserve(CHARGES, DEMAND)
    if (!open.ok) throw new Error('refused')
    const held = gate.durable.held(open.reservation)
    const before = gate.list().map(({ used, reserved }) => used + reserved)
    const next = gateAt(clock, [...saved.values()])
    records.push(...next.durable.charge(held))
    expect(next.list().map(({ used }) => used)).toEqual(before)
    spend(next, records)
    const states = next.takeChanged()
    expect(states).toHaveLength(ALGORITHMS.length)
    expect(differences(states, records)).toEqual([0, 0, 0, 0])
    // What a record too much or too little comes to.
    expect(differences(states, records.slice(0, -1))).not.toEqual([0, 0, 0, 0])
  })

  it('a call that was the first of its counter is charged to the window in which it was reserved', () => {
    const clock = new VirtualClock()
    const gate = gateAt(clock)
    const open = gate.reserve(CHARGES, DEMAND)
    if (!open.ok) throw new Error('refused')
    const held = gate.durable.held(open.reservation)
    clock.advance(2 * 3_600_000)
    const next = gateAt(clock)
    const records = next.durable.charge(held)
    // The hour is over; the others go on.
    expect(next.list().map(({ used }) => used)).toEqual([150, 150, 150])
    expect(differences(next.takeChanged(), records)).toEqual([0, 0, 0, 0])
  })

  it('says of a state of before records told what they charged that they cannot tell', () => {
    const clock = new VirtualClock()
    const gate = gateAt(clock)
    spend(gate, [])
    const old = gate.takeChanged().map(({ counterKey, state }) => {
      const { era: _era, base: _base, ...rest }: Record<string, unknown> = JSON.parse(state)
      return { counterKey, state: JSON.stringify(rest) }
    })
    expect(recount(old, []).map(({ recounted }) => recounted)).toEqual([null, null, null, null])
    // Once it is charged again, what it had is its base.
    const records: DurableCharge[] = []
    const next = gateAt(clock, old)
    spend(next, records)
    expect(differences(next.takeChanged(), records)).toEqual([0, 0, 0, 0])
  })
})
