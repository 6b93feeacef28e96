import type { KeyChange, KeyRecord } from '../contracts/key.ts'
import { hashKeySecret } from '../lib/virtual-key.ts'
import { compileKey } from './compile-key.ts'
import type { GatewayPlan, KeyPlan } from './gateway-plan.ts'
import { PlanError } from './plan-error.ts'

export type KeyRingOptions = {
  /** The current hash key first, then previous ones, whose keys stay valid. */
  readonly hashKeys: readonly string[]
  readonly plan: GatewayPlan
  /** A key whose policy cannot be compiled is refused like an unknown one; the operator is told here. */
  readonly onProblem?: (record: KeyRecord, problem: PlanError) => void
  /** For other processes that hold the same keys. */
  readonly onChange?: (change: KeyChange) => void
}

/** The key that a connection presented last, and its hashes. Lives and dies with the connection. */
export type SeenKey = { secret: string; hashes: readonly string[] }

type Entry = {
  readonly record: KeyRecord
  /** Null: not compiled under the current plan yet, or cannot be. */
  compiled: { readonly plan: GatewayPlan; readonly key: KeyPlan | null } | null
}

/** Every virtual key in memory, by the hash of its secret. A change counts on the very next request. */
export class KeyRing {
  readonly #hashKeys: readonly string[]
  readonly #onProblem: (record: KeyRecord, problem: PlanError) => void
  readonly #onChange: ((change: KeyChange) => void) | null
  readonly #byId = new Map<string, Entry>()
  readonly #byHash = new Map<string, Entry>()
  readonly #touched = new Map<string, number>()
  #plan: GatewayPlan

  constructor(options: KeyRingOptions) {
    this.#hashKeys = options.hashKeys
    this.#plan = options.plan
    this.#onProblem = options.onProblem ?? (() => undefined)
    this.#onChange = options.onChange ?? null
  }

  /** Keys are compiled again, each when it is next used. */
  usePlan(plan: GatewayPlan): void {
    this.#plan = plan
  }

  /**
   * Null for an unknown, disabled, expired or revoked key alike. `nowMs` is the wall clock. Hot.
   *
   * `seen` belongs to one connection: most carry one key, whose hash need not be computed again for each request.
   */
  find(secret: string, nowMs: number, seen: SeenKey = { secret: '', hashes: [] }): KeyPlan | null {
    if (this.#byHash.size === 0) return null
    if (seen.secret !== secret) {
      seen.hashes = this.#hashKeys.map((hashKey) => hashKeySecret(hashKey, secret))
      seen.secret = secret
    }
    for (const hash of seen.hashes) {
      const entry = this.#byHash.get(hash)
      if (entry === undefined) continue
      if (!isUsable(entry.record, hash, nowMs)) return null
      const key = this.#compile(entry)
      if (key !== null && key.refusedFromMs !== null && nowMs >= key.refusedFromMs) return null
      if (key !== null) this.#touched.set(entry.record.id, nowMs)
      return key
    }
    return null
  }

  /** The key as it stands, whatever its state. */
  get(id: string): KeyRecord | null {
    return this.#byId.get(id)?.record ?? null
  }

  list(): readonly KeyRecord[] {
    return Array.from(this.#byId.values(), ({ record }) => record)
  }

  /** Adds a key, or replaces the one with its id. */
  put(record: KeyRecord): void {
    this.#put(record)
    this.#onChange?.({ kind: 'put-key', key: record })
  }

  remove(id: string): void {
    this.#remove(id)
    this.#onChange?.({ kind: 'remove-key', id })
  }

  replaceAll(records: readonly KeyRecord[]): void {
    this.#byId.clear()
    this.#byHash.clear()
    for (const record of records) this.#put(record)
    this.#onChange?.({ kind: 'all-keys', keys: records })
  }

  #put(record: KeyRecord): void {
    this.#remove(record.id)
    const entry: Entry = { record, compiled: null }
    this.#byId.set(record.id, entry)
    this.#byHash.set(record.hash, entry)
    if (record.previousHash !== null) this.#byHash.set(record.previousHash, entry)
  }

  #remove(id: string): void {
    const entry = this.#byId.get(id)
    if (entry === undefined) return
    this.#byId.delete(id)
    for (const hash of [entry.record.hash, entry.record.previousHash]) {
      if (hash !== null && this.#byHash.get(hash) === entry) this.#byHash.delete(hash)
    }
  }

  /** When keys were last used (ms since 1970) since this was last asked, for the store. */
  takeTouched(): readonly { readonly id: string; readonly atMs: number }[] {
    const touched = Array.from(this.#touched, ([id, atMs]) => ({ id, atMs }))
    this.#touched.clear()
    return touched
  }

  #compile(entry: Entry): KeyPlan | null {
    if (entry.compiled?.plan === this.#plan) return entry.compiled.key
    const key = this.#tryCompile(entry.record)
    entry.compiled = { plan: this.#plan, key }
    return key
  }

  #tryCompile(record: KeyRecord): KeyPlan | null {
    try {
      return compileKey(record, this.#plan.policies)
    } catch (thrown) {
      if (!(thrown instanceof PlanError)) throw thrown
      this.#onProblem(record, thrown)
      return null
    }
  }
}

function isUsable(record: KeyRecord, hash: string, nowMs: number): boolean {
  if (!record.enabled || record.revokedAtMs !== null) return false
  if (record.expiresAtMs !== null && nowMs >= record.expiresAtMs) return false
  if (hash === record.hash) return true
  return record.previousHashUntilMs !== null && nowMs < record.previousHashUntilMs
}
