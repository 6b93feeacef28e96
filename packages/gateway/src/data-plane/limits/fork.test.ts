import { expect, it } from 'vitest'
import type { ProcessGate } from '../../contracts/limit.ts'
import { forkContract } from '../../testing/fork-contract.ts'
import {
  actualOf,
  admitted,
  chargeOf,
  demandFor,
  lifetime,
  limitOf,
} from '../../testing/gate-fixtures.ts'
import { VirtualClock } from '../../testing/virtual-clock.ts'
import { createMemoryGate } from './memory-gate.ts'

forkContract('memory', createMemoryGate)

it('copies what is expected of the output: the fork learns without the gate', () => {
  const gate = createMemoryGate({ clock: new VirtualClock(), onAlert: () => {} })
  const charges = [chargeOf(limitOf(lifetime(10_000), { reserve: 'expected' }))]
  const settleAs = (one: Pick<ProcessGate, 'reserve' | 'settle'>, outputTokens: number): void => {
    for (let i = 0; i < 64; i++) {
      const reservation = admitted(one.reserve(charges, demandFor(0, 1000)))
      one.settle(reservation, actualOf(0, outputTokens))
    }
  }
  settleAs(gate, 10)
  const fork = gate.fork(0)
  settleAs(fork, 100)
  gate.reserve(charges, demandFor(0, 1000))
  expect(gate.list()).toMatchObject([{ used: 640, reserved: 10 }])
  fork.reserve(charges, demandFor(0, 1000))
  expect(fork.list()).toMatchObject([{ used: 640 + 6400, reserved: 100 }])
})
