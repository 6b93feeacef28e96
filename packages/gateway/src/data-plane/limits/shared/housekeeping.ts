import type { ScriptConnection } from '../../../contracts/script-server.ts'
import { sweepIndex, wordsOf } from './administration.ts'
import type { Attachment } from './attachment.ts'
import { BATCH, batches, keysOf, listOf, numberOf, perCounter } from './script-calls.ts'
import type { Predecessors } from './predecessors.ts'
import type { SeenCounter } from './seen-counters.ts'
import type { SharedGateParts } from './gate-parts.ts'

const BEAT_MS = 250
/** How long a lease lasts that is not renewed: of a process that is cut off, and of one that died. */
export const LEASE_MS = 300_000
/** What was not used for so long is given back. */
const IDLE_MS = 60_000
/** Counters per beat, so that requests do not wait behind it. */
const MOST_AT_ONCE = 200
const DUE_EVERY = 4
const SWEEP_EVERY = 40

/**
 * What goes on beside requests: this process stays a member, its leases are evened out, the state of durable counters is
 * fetched for the ledger, and reservations whose owner is lost are ended.
 */
export class Housekeeping {
  /** Processes that share the counters, as last told. */
  members = 1
  readonly #parts: SharedGateParts
  readonly #restoreOne: Attachment['restoreOne']
  readonly #predecessors: Predecessors
  #timer: NodeJS.Timeout | null = null
  #busy = false
  #beats = 0
  #cursor = '0'

  /** `restoreOne`: brings a counter that is not there although it should be. */
  constructor(
    parts: SharedGateParts,
    restoreOne: Attachment['restoreOne'],
    predecessors: Predecessors,
  ) {
    this.#parts = parts
    this.#restoreOne = restoreOne
    this.#predecessors = predecessors
  }

  start(live: () => ScriptConnection | null): void {
    this.#timer = setInterval(() => void this.work(live()), BEAT_MS)
    this.#timer.unref()
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
  }

  /** One turn. */
  async work(connection: ScriptConnection | null): Promise<void> {
    if (connection === null || this.#busy) return
    this.#busy = true
    this.#beats += 1
    try {
      await this.beat(connection)
      await this.save(connection)
      await this.#predecessors.bury(connection)
      await this.#renew(connection)
      if (this.#beats % DUE_EVERY === 0) await this.endLost(connection)
      if (this.#beats % SWEEP_EVERY === 0) {
        this.#cursor = await sweepIndex(this.#parts, connection, this.#cursor)
      }
    } catch {
      // The connection is lost, which is told elsewhere.
    } finally {
      this.#busy = false
    }
  }

  /** Twice at once where something has to be given back, because others wait for it. */
  async beat(connection: ScriptConnection): Promise<void> {
    const wanted = await this.#beatFor(connection, this.#chosen())
    const asked = wanted
      .map((name) => this.#parts.seen.find(name))
      .filter((seen) => seen !== null)
      .filter((seen) => seen.lease > 0 || seen.giving > 0)
    for (const seen of asked) seen.giveBack(seen.lease)
    const giving = asked.concat(this.#chosen().filter((seen) => seen.giving > 0))
    if (giving.length > 0) await this.#beatFor(connection, [...new Set(giving)])
  }

  /** Fetches the state of durable counters that changed. */
  async save(connection: ScriptConnection): Promise<void> {
    const { dirty, known, call } = this.#parts
    const names = [...dirty].slice(0, MOST_AT_ONCE)
    for (const batch of batches(names)) {
      for (const name of batch) dirty.delete(name)
      const answer = await call(connection, 'save', batch, [])
      const at = { generation: this.#parts.generation(), nowMs: answer.nowMs }
      for (const [index, name] of batch.entries()) {
        const words = wordsOf(answer.list(2)[index])
        if (words !== null) known.learn(name, words, at)
      }
    }
  }

  /** Charges what reservations hold whose owner has not been heard of. */
  async endLost(connection: ScriptConnection): Promise<void> {
    const { call } = this.#parts
    const answer = await call(connection, 'due', [], [String(BATCH)])
    for (const one of answer.list(2)) {
      const [name, ...counters] = listOf(one).map(String)
      if (name === undefined) continue
      const args = counters.flatMap((counter) => ['0', '', counter, ''])
      const ended = await call(connection, 'close', counters, [name, 'expire', '', '', ...args])
      for (const [index, counter] of counters.entries()) {
        const view = listOf(ended.list(2)[index])
        if (view.length > 0) this.#parts.seen.find(counter)?.learn(view, ended.nowMs)
      }
    }
  }

  /** Gives every lease back, at a clean stop. */
  async leave(connection: ScriptConnection): Promise<void> {
    const held = [...this.#parts.seen.all()].filter((seen) => seen.lease + seen.giving > 0)
    const names = held.map(({ charge }) => charge.counterKey)
    if (names.length === 0) await this.#parts.call(connection, 'leave', [], [])
    for (const batch of batches(names)) await this.#parts.call(connection, 'leave', batch, batch)
  }

  async #beatFor(
    connection: ScriptConnection,
    counters: readonly SeenCounter[],
  ): Promise<readonly string[]> {
    const { clock } = this.#parts.options
    const nowMs = clock.monotonicMs()
    const given = counters.map((seen) => seen.giving)
    const charges = counters.map((seen) => seen.charge)
    const serverMs = this.#parts.time.nowMs()
    const args = [
      String(LEASE_MS),
      ...perCounter(charges, (_, index) => [
        given[index] ?? 0,
        counters[index]?.mustExist(serverMs) === true ? 1 : 0,
      ]),
    ]
    const answer = await this.#parts.call(connection, 'beat', keysOf(charges), args)
    this.members = answer.number(2)
    for (const [index, seen] of counters.entries()) {
      const view = listOf(answer.list(4)[index])
      if (view.length === 0) {
        await this.#restoreOne(connection, seen.charge)
        continue
      }
      seen.giving -= given[index] ?? 0
      seen.beatAtMs = nowMs
      seen.leaseUntilMs = nowMs + LEASE_MS
      seen.lease += numberOf(view[0])
      const share = numberOf(view[1])
      if (seen.lease > share) seen.giveBack(seen.lease - share)
      seen.learn(view.slice(2), answer.nowMs)
      this.#forgetIdle(seen, nowMs)
    }
    return answer.list(3).map(String)
  }

  #forgetIdle(seen: SeenCounter, nowMs: number): void {
    if (nowMs - seen.touchedAtMs < IDLE_MS) return
    if (seen.lease > 0) seen.giveBack(seen.lease)
    else if (seen.giving === 0 && seen.charge.limit.reserve !== 'expected') {
      this.#parts.seen.delete(seen.charge.counterKey)
    }
  }

  /** Those that were used since their last turn first, then those that waited longest. */
  #chosen(): SeenCounter[] {
    const all: SeenCounter[] = []
    for (const seen of this.#parts.seen.all()) {
      const { mode, onBackendFailure } = seen.charge.limit
      if (mode === 'enforce' && onBackendFailure === undefined) all.push(seen)
    }
    if (all.length <= MOST_AT_ONCE) return all
    return all
      .toSorted((one, other) => turn(one) - turn(other) || one.beatAtMs - other.beatAtMs)
      .slice(0, MOST_AT_ONCE)
  }

  async #renew(connection: ScriptConnection): Promise<void> {
    const { open, options, call } = this.#parts
    const lifetimeMs = options.lifetimeMs()
    const nowMs = options.clock.monotonicMs()
    for (const reservation of open.values()) {
      if (nowMs - reservation.renewedAtMs < lifetimeMs / 2) continue
      reservation.renewedAtMs = nowMs
      const names = reservation.holds.map(({ charge }) => charge.counterKey)
      const args = [reservation.name, String(lifetimeMs), ...names]
      await call(connection, 'renew', names, args)
    }
  }
}

function turn(seen: SeenCounter): number {
  return seen.touchedAtMs > seen.beatAtMs ? 0 : 1
}
