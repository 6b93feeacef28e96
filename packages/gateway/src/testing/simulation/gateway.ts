import type { DurableGate } from '../../contracts/durable-charge.ts'
import type { Demand, Reservation } from '../../contracts/limit.ts'
import type { OpenCall } from '../../contracts/open-calls.ts'
import { createMemoryGate } from '../../data-plane/limits/memory-gate.ts'
import { actualOf, demandFor } from '../gate-fixtures.ts'
import { Disk, type SimRecord } from './disk.ts'
import { chargesOf, KEY_COUNT } from './limits.ts'
import type { SimProvider } from './provider.ts'
import type { World } from './world.ts'

const COMMIT_MS = 8
export const TOLD_MS = 400
const POLL_MS = 1_000

type Call = {
  readonly requestId: string
  readonly key: number
  readonly demand: Demand
  readonly reservation: Reservation
  seen: number
  ended: boolean
  stop: () => void
}

/** The keys as everybody's store has them. */
export type SharedKeys = { readonly revokedAtMs: (number | null)[] }

export type Admission = {
  readonly gateway: number
  readonly life: number
  readonly atMs: number
  readonly key: number
}

/** One process of the money core on one machine: gate, journal and ledger as the server puts them together. */
export class SimGateway {
  readonly disk: Disk = new Disk()
  readonly machine: { skewMs: number }
  gate: DurableGate
  /** Counts starts; what an earlier one has planned does not happen any more. */
  life = 0
  isUp = true
  /** Something was taken or given back since this was last looked at. */
  changed = true
  /** Answers of which the client got the last byte. */
  readonly acknowledged: Set<string> = new Set()
  readonly calls: Set<Call> = new Set()
  readonly admissions: Admission[] = []
  readonly #index: number
  readonly #world: World
  readonly #provider: SimProvider
  readonly #keys: SharedKeys
  readonly #revoked: Set<number> = new Set()
  #pending: SimRecord[] = []
  #committing = false
  #requests = 0

  constructor(
    index: number,
    parts: { readonly world: World; readonly provider: SimProvider; readonly keys: SharedKeys },
  ) {
    this.#index = index
    this.#world = parts.world
    this.#provider = parts.provider
    this.#keys = parts.keys
    this.machine = { skewMs: parts.world.below(120_001) - 60_000 }
    this.gate = this.#newGate()
    this.#poll()
  }

  /** A client's request; null when it is not admitted. */
  request(): void {
    const world = this.#world
    const key = world.below(KEY_COUNT)
    if (!this.isUp || this.#revoked.has(key)) return
    const mayLease = world.chance(0.6)
    const demand = { ...demandFor(world.below(40), 1 + world.below(250)), mayLease }
    this.changed = true
    const result = this.gate.reserve(chargesOf(key), demand)
    if (result instanceof Promise) throw new TypeError('this gate answers at once')
    if (!result.ok) return
    this.#requests += 1
    const requestId = `g${this.#index}-${this.life}-${this.#requests}`
    const { reservation } = result
    this.admissions.push({ gateway: this.#index, life: this.life, atMs: world.nowMs, key })
    const call: Call = { requestId, key, demand, reservation, seen: 0, ended: false, stop() {} }
    this.calls.add(call)
    this.#note(call)
    this.#send(call)
  }

  /** Told of a revocation by whoever took it: with the answer of the admin call on the same machine. */
  learnRevoked(key: number): void {
    this.#revoked.add(key)
  }

  /** `kill -9`: what is not on disk is gone. */
  crash(): void {
    if (!this.isUp) return
    this.isUp = false
    this.life += 1
    for (const call of this.calls) call.stop()
    this.calls.clear()
    this.#pending = []
    this.#committing = false
  }

  start(): void {
    if (this.isUp) return
    this.isUp = true
    this.changed = true
    this.gate = this.#newGate()
    this.#revoked.clear()
    for (const [key, atMs] of this.#keys.revokedAtMs.entries()) {
      if (atMs !== null) this.#revoked.add(key)
    }
    this.gate.restore([...this.disk.counters.values()])
    this.#settleLeft()
    this.#poll()
  }

  /** Records that are accepted but not committed. */
  pending(): readonly SimRecord[] {
    return this.#pending
  }

  #newGate(): DurableGate {
    return createMemoryGate({ clock: this.#world.clockOf(this.machine), onAlert: () => {} })
  }

  /** Does nothing once the process is another. */
  #later(ms: number, act: () => void): void {
    const { life } = this
    this.#world.after(ms, () => {
      if (this.isUp && this.life === life) act()
    })
  }

  #poll(): void {
    this.#later(POLL_MS, () => {
      for (const [key, atMs] of this.#keys.revokedAtMs.entries()) {
        if (atMs !== null) this.#revoked.add(key)
      }
      this.#poll()
    })
  }

  #send(call: Call): void {
    const { life } = this
    const isMine = (): boolean => this.life === life && this.isUp
    const { requestId, demand, reservation } = call
    const sent = {
      requestId,
      inputTokens: demand.inputTokens,
      outputTokens: reservation.outputTokens,
      stream: demand.mayLease === true,
    }
    call.stop = this.#provider.call(sent, {
      onToken: () => isMine() && this.#token(call),
      onDone: (outputTokens) => isMine() && this.#settle(call, outputTokens),
      onRefused: () => isMine() && this.#release(call),
      // What was produced is not known of an answer that never came: the worst case.
      onCut: () => {
        const produced = sent.stream ? call.seen : reservation.outputTokens
        if (isMine()) this.#settle(call, produced)
      },
    })
    if (this.#world.chance(0.05)) {
      this.#later(this.#world.below(500), () => this.#clientLeaves(call))
    }
  }

  /** As the relay does: ahead of the stream, and the end of it when no more can be had. */
  #token(call: Call): void {
    if (call.ended) return
    call.seen += 1
    const { reservation } = call
    const before = reservation.heldTokens ?? reservation.outputTokens
    if (before >= reservation.outputTokens || call.seen + 1 <= before) return
    const held = Number(this.gate.extend(reservation, call.seen + 1))
    this.changed = true
    if (held > before) this.#note(call)
    if (call.seen < held) return
    call.stop()
    this.#settle(call, call.seen)
  }

  #clientLeaves(call: Call): void {
    if (call.ended) return
    call.stop()
    const { outputTokens } = call.reservation
    this.#settle(call, call.demand.mayLease === true ? call.seen : outputTokens)
  }

  #settle(call: Call, outputTokens: number): void {
    this.changed = true
    const { requestId, demand, reservation } = call
    // An answer that comes twice is settled twice: the second time must do nothing.
    this.gate.settle(reservation, actualOf(demand.inputTokens, outputTokens))
    if (call.ended) return
    call.ended = true
    this.calls.delete(call)
    const charges = this.gate.durable.settled(reservation)
    const tokens = demand.inputTokens + outputTokens
    this.#append({ requestId, tokens, lost: false, charges })
  }

  #release(call: Call): void {
    if (call.ended) return
    call.ended = true
    this.calls.delete(call)
    this.changed = true
    this.gate.release(call.reservation)
    this.#append({ requestId: call.requestId, tokens: 0, lost: false, charges: [] })
  }

  #note({ requestId, key, demand, reservation }: Call): void {
    const call: OpenCall = {
      requestId,
      startedAtMs: 0,
      keyId: String(key),
      endpoint: 'chat',
      protocol: 'openai-chat',
      stream: demand.mayLease === true,
      requestedModel: '',
      model: '',
      provider: '',
      target: '',
      inputTokens: demand.inputTokens,
      outputTokens: reservation.heldTokens ?? reservation.outputTokens,
      costNanoUsd: 0,
      charges: this.gate.durable.held(reservation),
    }
    this.disk.journal.set(requestId, call)
  }

  #append(record: SimRecord): void {
    this.#pending.push(record)
    if (this.#committing) return
    this.#committing = true
    this.#later(1 + this.#world.below(COMMIT_MS), () => this.#commit())
  }

  /** Records and counters of one moment, in one transaction. */
  #commit(): void {
    this.#committing = false
    const records = this.#pending
    this.#pending = []
    this.disk.commit(records, this.gate.takeChanged())
    this.#later(this.#world.below(2), () => {
      for (const { requestId } of records) {
        this.disk.journal.delete(requestId)
        this.acknowledged.add(requestId)
      }
    })
  }

  /** Calls that the process before left open are settled at what they held. */
  #settleLeft(): void {
    for (const call of this.disk.journal.values()) {
      if (this.disk.records.has(call.requestId)) {
        this.disk.journal.delete(call.requestId)
        continue
      }
      const charges = this.gate.durable.charge(call.charges)
      const tokens = call.inputTokens + call.outputTokens
      this.#append({ requestId: call.requestId, tokens, lost: true, charges })
    }
  }
}
