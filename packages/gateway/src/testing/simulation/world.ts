import type { Clock } from '../../lib/clock.ts'
import { TEST_START_MS } from '../virtual-clock.ts'

type Event = { atMs: number; readonly order: number; readonly act: () => void }

/** Virtual time, and every random choice of a run from one seed. Nothing happens but what was planned here. */
export class World {
  nowMs = 0
  /** Of everything that happened: two runs of one seed must come to the same. */
  hash = 0
  readonly #events: Event[] = []
  #order = 0
  #state: number

  constructor(seed: number) {
    this.#state = (seed ^ 0x9e3779b9) >>> 0
  }

  /** In [0, 1). */
  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }

  /** A whole number from 0 to `below` - 1. */
  below(below: number): number {
    return Math.floor(this.random() * below)
  }

  chance(share: number): boolean {
    return this.random() < share
  }

  after(ms: number, act: () => void): void {
    const event = { atMs: this.nowMs + ms, order: this.#order++, act }
    let at = this.#events.length
    while (at > 0 && isLater(this.#events[at - 1] ?? event, event)) at -= 1
    this.#events.splice(at, 0, event)
  }

  /** Time in which nothing happens: what is planned comes so much later. */
  skip(ms: number): void {
    this.nowMs += ms
    for (const event of this.#events) event.atMs += ms
  }

  /** False: nothing is left to happen. */
  step(): boolean {
    const event = this.#events.shift()
    if (event === undefined) return false
    this.nowMs = event.atMs
    this.note(event.order)
    event.act()
    return true
  }

  note(value: number): void {
    this.hash = (Math.imul(this.hash, 31) + value) | 0
  }

  /** The clocks of one machine, from one start of it: its wall clock is off, and somebody may set it anew. */
  clockOf(machine: { readonly skewMs: number }): Clock {
    const startedMs = this.nowMs
    return {
      monotonicMs: () => this.nowMs - startedMs,
      wallMs: () => TEST_START_MS + this.nowMs + machine.skewMs,
    }
  }
}

function isLater(one: Event, other: Event): boolean {
  return one.atMs > other.atMs || (one.atMs === other.atMs && one.order > other.order)
}
