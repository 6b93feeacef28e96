import { describe, expect, it } from 'vitest'
import type { Gate, Reservation } from '../../contracts/limit.ts'
import type { StreamTap } from '../../contracts/protocol.ts'
import { NO_USAGE } from '../../contracts/usage.ts'
import { createMemoryGate } from '../limits/memory-gate.ts'
import { VirtualClock } from '../../testing/virtual-clock.ts'
import { OutputLease } from './output-lease.ts'

const GRANTED = 1000
const FIRST = 20

/** A gate that answers after `late` turns of the event loop, and has `room` tokens in all; 0 turns: at once. */
function gateWith(room: number, late: number): Gate {
  const gate = createMemoryGate({ clock: new VirtualClock(), onAlert: () => {} })
  const answer = (wanted: number): number => Math.min(Math.max(wanted, FIRST), room)
  const extend: Gate['extend'] = (_, wanted) =>
    late === 0 ? answer(wanted) : after(late, answer(wanted))
  return Object.assign(gate, { extend })
}

async function after(turns: number, value: number): Promise<number> {
  for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve))
  return value
}

/** A stream of one token for each frame, one frame for each turn of the event loop; how many until it was cut. */
async function framesUntilSpent(room: number, late: number): Promise<number> {
  const reservation: Reservation = {
    id: 1,
    outputTokens: GRANTED,
    heldTokens: FIRST,
    shrunk: false,
    excused: [],
  }
  const lease = new OutputLease({
    gate: gateWith(room, late),
    reservations: [reservation],
    lengthStop: null,
    onExtended: () => {},
  })
  for (let frames = 1; frames <= GRANTED; frames++) {
    if (lease.isSpent(tapAt(frames))) return frames
    await new Promise((resolve) => setImmediate(resolve))
  }
  return Infinity
}

function tapAt(frames: number): StreamTap {
  const text = 'a token '.repeat(frames)
  return {
    readFrame: () => 'pass',
    outputFrames: () => frames,
    outputText: () => text,
    usage: () => NO_USAGE,
    servedModel: () => null,
    complete: () => false,
    failed: () => false,
  }
}

describe('the lease of a stream', () => {
  it('ends the stream at what is held when no more can be had', async () => {
    expect(await framesUntilSpent(100, 0)).toBe(100)
  })

  it.each([1, 5, 40])('also where the gate answers %i frames later', async (late) => {
    const frames = await framesUntilSpent(500, late)
    expect(frames).toBeGreaterThanOrEqual(500)
    // One answer is waited for, and the stream goes on meanwhile.
    expect(frames).toBeLessThanOrEqual(500 + late + 2)
  })

  it('lets a stream run whose gate always has more', async () => {
    expect(await framesUntilSpent(GRANTED, 0)).toBe(Infinity)
    expect(await framesUntilSpent(GRANTED, 3)).toBe(Infinity)
  })
})
