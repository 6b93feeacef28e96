import type { LimitCharge } from '../contracts/limit.ts'
import type { Room } from '../contracts/room.ts'

type Holder = { askBack(counterKeys: ReadonlySet<string>): Promise<unknown> }

/** The room that all workers together have been given. */
export class Rooms {
  readonly room: Room
  readonly desks: Set<Holder> = new Set()

  constructor(room: Room) {
    this.room = room
  }

  anyAside(charges: readonly LimitCharge[]): boolean {
    return charges.some(({ counterKey }) => this.room.aside(counterKey) > 0)
  }

  /** Resolves when nobody has any room of these counters that it has not used. */
  async askBack(charges: readonly LimitCharge[]): Promise<void> {
    const keys = new Set(charges.map(({ counterKey }) => counterKey))
    await Promise.all(Array.from(this.desks, (desk) => desk.askBack(keys)))
  }
}

/** What one worker has of one counter. */
export class KeptRoom {
  readonly charge: LimitCharge
  amount = 0
  #untilMs = Infinity
  #waiting: (() => void)[] = []

  constructor(charge: LimitCharge) {
    this.charge = charge
  }

  /** `forMs`: how long what was told of the counter's window holds; null: for ever. */
  add(amount: number, forMs: number | null): void {
    this.amount += amount
    this.#untilMs = forMs === null ? Infinity : performance.now() + forMs
  }

  /** Nothing is added to what is being asked back. */
  wants(least: number): boolean {
    if (this.isAsked()) return false
    return this.amount < least || performance.now() >= this.#untilMs
  }

  isAsked(): boolean {
    return this.#waiting.length > 0
  }

  returned(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
    })
  }

  tellReturned(): void {
    for (const resolve of this.#waiting) resolve()
    this.#waiting = []
  }
}
