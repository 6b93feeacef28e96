import type { Claim, ClaimedCall } from '../contracts/answer-store.ts'

type Held = { readonly fingerprint: string; readonly owner: string; readonly untilMs: number }

/** Claims to calls, in this process's memory. One that is not renewed ends by itself. */
export class Claims {
  readonly #held = new Map<string, Held>()
  readonly #leaseMs: number
  readonly #nowMs: () => number

  /** `nowMs`: monotonic. */
  constructor(leaseMs: number, nowMs: () => number = () => performance.now()) {
    this.#leaseMs = leaseMs
    this.#nowMs = nowMs
  }

  take({
    id,
    fingerprint,
    owner,
  }: ClaimedCall): Extract<Claim['kind'], 'claimed' | 'running' | 'other'> {
    const held = this.#of(id)
    if (held !== null) return held.fingerprint === fingerprint ? 'running' : 'other'
    this.#held.set(id, { fingerprint, owner, untilMs: this.#nowMs() + this.#leaseMs })
    return 'claimed'
  }

  renew(call: ClaimedCall): boolean {
    if (!this.isOf(call)) return false
    const { id, fingerprint, owner } = call
    this.#held.set(id, { fingerprint, owner, untilMs: this.#nowMs() + this.#leaseMs })
    return true
  }

  isOf({ id, owner }: ClaimedCall): boolean {
    return this.#of(id)?.owner === owner
  }

  isAnothers({ id, owner }: ClaimedCall): boolean {
    const held = this.#of(id)
    return held !== null && held.owner !== owner
  }

  drop(call: ClaimedCall): void {
    if (this.isOf(call)) this.#held.delete(call.id)
  }

  /** Of owners that are gone. */
  dropEnded(): void {
    for (const id of this.#held.keys()) this.#of(id)
  }

  #of(id: string): Held | null {
    const held = this.#held.get(id)
    if (held === undefined) return null
    if (held.untilMs > this.#nowMs()) return held
    this.#held.delete(id)
    return null
  }
}
