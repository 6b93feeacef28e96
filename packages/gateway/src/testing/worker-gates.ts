import type { Reservation } from '../contracts/limit.ts'
import { createMemoryGate } from '../data-plane/limits/memory-gate.ts'
import { KnownLimits } from '../workers/charge-names.ts'
import { GateDesk } from '../workers/gate-desk.ts'
import { Rooms } from '../workers/rooms.ts'
import { readLine, type SettledStates } from '../workers/messages.ts'
import { WorkerGate } from '../workers/worker-gate.ts'
import type { GateUnderTest, MakeGate } from './gate-fixtures.ts'

/** So few that the numbers of counters begin anew in the middle of a test. */
const MOST_NAMES = 3

/**
 * One gate of an owner, used by turns through the gates of several workers. Lines go from one to the other as text, one
 * turn later, so that the contract sees what requests see.
 */
export function workerGates(workers: number): MakeGate {
  return ({ clock, onAlert, openOnRestore }) => {
    const owner = createMemoryGate({
      clock,
      onAlert,
      ...(openOnRestore === undefined ? {} : { openOnRestore }),
    })
    const limits = new KnownLimits()
    const rooms = new Rooms(owner.room)
    const members = Array.from({ length: workers }, () => {
      const desk: GateDesk = new GateDesk({
        gate: owner,
        durable: owner.durable,
        limits,
        rooms,
        send: (line) => queueMicrotask(() => hear(gate, line)),
      })
      const gate: WorkerGate = new WorkerGate({
        send: (line) =>
          queueMicrotask(() => {
            if (!desk.take(line.charAt(0), line.slice(1))) throw new Error(line)
          }),
        clock,
        mostNames: MOST_NAMES,
      })
      return { desk, gate }
    })
    let turn = 0
    const ownerOf = new WeakMap<Reservation, (typeof members)[number]>()
    const memberOf = (reservation: Reservation): (typeof members)[number] => {
      const member = ownerOf.get(reservation)
      if (member === undefined) throw new Error('of another test')
      return member
    }
    const gate: GateUnderTest = {
      async reserve(charges, demand) {
        const member = members[turn++ % members.length]
        if (member === undefined) throw new Error('no worker')
        const result = await member.gate.reserve(charges, demand)
        if (result.ok) ownerOf.set(result.reservation, member)
        return result
      },
      fits: (charges, demand) => owner.fits(charges, demand),
      extend: (reservation, tokens) => memberOf(reservation).gate.extend(reservation, tokens),
      async settle(reservation, actual) {
        const { gate: own, desk } = memberOf(reservation)
        own.settle(reservation, actual)
        await delivered()
        tellStates(own, desk)
      },
      async release(reservation) {
        memberOf(reservation).gate.release(reservation)
        await delivered()
      },
      statesOf: (reservation) => memberOf(reservation).gate.statesOf(reservation),
      takeChanged: () => owner.takeChanged(),
      restore: (states) => owner.restore(states),
      list: () => owner.list(),
      openReservations: () => owner.openReservations(),
      fork: (aheadMs) => owner.fork(aheadMs),
      reset: (limitId, value) => owner.reset(limitId, value),
      grant: (limitId, value, extra) => owner.grant(limitId, value, extra),
    }
    return gate
  }
}

async function delivered(): Promise<void> {
  await Promise.resolve()
  await Promise.resolve()
}

/** As the commit of the record does. */
function tellStates(gate: WorkerGate, desk: GateDesk): void {
  const text = desk.settledText(desk.takeSettled())
  for (const settled of readLine<SettledStates[]>(`[${text.slice(1)}]`)) gate.onSettled(...settled)
}

function hear(gate: WorkerGate, line: string): void {
  const text = line.slice(1)
  switch (line.charAt(0)) {
    case 'r':
      return gate.onReserved(text)
    case 'o':
      return gate.onRoom(text)
    case 'c':
      return gate.onAskedBack(text)
    case 'f':
      return gate.onRefused(text)
    case 'b':
      return gate.onFailed(text)
    case 'e':
      return gate.onExtended(text)
    default:
      throw new Error(line)
  }
}
