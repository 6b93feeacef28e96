import type { CounterState, LimitCharge } from '../../../contracts/limit.ts'
import { isRecord } from '../../../lib/is-record.ts'
import { Counter, newMeter } from '../counter.ts'
import { isDurable, restoreCounter, saveCounter } from '../counter-state.ts'
import type { Meter } from '../meter.ts'
import type { NamedUse } from './reports.ts'
import type { SeenCounter, SeenCounters } from './seen-counters.ts'

/** A state of a durable counter that the server gave us, or a store kept. */
type KnownState = {
  readonly stored: CounterState
  /** Empty: a gate of one process saved it. */
  readonly generation: string
  /** Server time. */
  readonly savedAtMs: number
  readonly chargeOpen: boolean
}

/** The server's own words about a counter. `era`: empty where records do not add up to it. */
export type SavedWords = {
  readonly description: string
  readonly meter: string
  readonly era: string
}

/** As the store keeps the counter. */
export function storedState(
  counterKey: string,
  { description, meter, era }: SavedWords,
  at: { readonly generation: string; readonly nowMs: number },
): CounterState {
  const ends = JSON.stringify({ generation: at.generation, saved_at_ms: at.nowMs }).slice(1)
  const parts = ['{"format":1', description, `"meter":${meter}`, era, ends]
  return { counterKey, state: parts.filter((part) => part !== '').join(',') }
}

/** A counter to be built up again: what it is, and its state for the script. */
export type LostCounter = {
  readonly charge: LimitCharge
  readonly meter: string
  readonly savedAtMs: number
}

/**
 * Durable counters as this process last knew them: what the ledger's next transaction keeps, and from what the counters
 * of a server that lost them are built up again.
 */
export class KnownStates {
  readonly #byKey = new Map<string, KnownState>()
  readonly #changed = new Set<string>()
  readonly #owed = new Map<string, Map<string, number>>()

  /** Throws an `Error` when a state cannot be read. Gives what processes before this one still owed. */
  load(
    states: readonly CounterState[],
    options: { readonly nowMs: number; readonly chargeOpen: boolean },
  ): readonly NamedUse[] {
    const owed: NamedUse[] = []
    for (const stored of states) {
      const counter = restoreCounter(stored, options)
      const { generation, savedAtMs, uses, state } = extrasOf(stored.state)
      const { chargeOpen } = options
      const known = { counterKey: stored.counterKey, state }
      this.#byKey.set(stored.counterKey, { stored: known, generation, savedAtMs, chargeOpen })
      for (const use of uses) owed.push({ charge: chargeOf(counter), ...use })
    }
    return owed
  }

  /** The server's own words: description and state of the counter. */
  learn(
    counterKey: string,
    words: SavedWords,
    at: { readonly generation: string; readonly nowMs: number },
  ): CounterState {
    const stored = storedState(counterKey, words, at)
    this.#byKey.set(counterKey, {
      stored,
      generation: at.generation,
      savedAtMs: at.nowMs,
      chargeOpen: false,
    })
    this.#changed.add(counterKey)
    return stored
  }

  /** What was used and the server has not counted; 0: nothing is owed under that name any more. */
  owe({ charge, name, used }: NamedUse): void {
    const { counterKey } = charge
    const owed = this.#owed.get(counterKey) ?? new Map<string, number>()
    if ((owed.get(name) ?? 0) === used) return
    if (used === 0) owed.delete(name)
    else owed.set(name, used)
    if (owed.size === 0) this.#owed.delete(counterKey)
    else this.#owed.set(counterKey, owed)
    if (!this.#byKey.has(counterKey)) this.#begin(charge)
    this.#changed.add(counterKey)
  }

  /** The server never told its state: there is nothing but what is owed. */
  #begin({ limit, value, counterKey }: LimitCharge): void {
    const meter = newMeter(limit.algorithm, 0)
    const era = { id: 0, base: [] }
    const counter = new Counter(limit, { key: counterKey, value, meter, restored: false, era })
    if (!isDurable(counter)) return
    const stored = saveCounter(counter, 0)
    this.#byKey.set(counterKey, { stored, generation: '', savedAtMs: 0, chargeOpen: false })
  }

  takeChanged(): readonly CounterState[] {
    if (this.#changed.size === 0) return []
    const states: CounterState[] = []
    for (const key of this.#changed) {
      const known = this.#byKey.get(key)
      if (known === undefined) continue
      const owed = this.#owed.get(key)
      states.push(owed === undefined ? known.stored : withOwed(known.stored, owed))
    }
    this.#changed.clear()
    return states
  }

  /** The counters that a server of another generation has not, brought up to what was last seen of them. */
  lost(generation: string, seen: SeenCounters, nowMs: number): readonly LostCounter[] {
    const lost: LostCounter[] = []
    for (const [key, known] of this.#byKey) {
      if (known.generation === generation) continue
      const { stored, savedAtMs, chargeOpen } = known
      const counter = restoreCounter(stored, { nowMs, chargeOpen })
      const found = { charge: chargeOf(counter), meter: counter.meter }
      lost.push(lostCounter(found, { seen: seen.find(key), savedAtMs, nowMs }))
    }
    for (const one of seen.all()) {
      // Counted for the first time, and lost before its state was asked for.
      if (one.mustExist(nowMs) && !this.#byKey.has(one.charge.counterKey)) {
        lost.push(this.lostOne(one, nowMs))
      }
    }
    return lost
  }

  /** One counter that is gone by itself. */
  lostOne(seen: SeenCounter, nowMs: number): LostCounter {
    const { charge } = seen
    const known = this.#byKey.get(charge.counterKey)
    const meter =
      known === undefined
        ? newMeter(charge.limit.algorithm, nowMs)
        : restoreCounter(known.stored, { nowMs, chargeOpen: known.chargeOpen }).meter
    return lostCounter({ charge, meter }, { seen, savedAtMs: known?.savedAtMs ?? seen.atMs, nowMs })
  }
}

function withOwed(
  { counterKey, state }: CounterState,
  owed: ReadonlyMap<string, number>,
): CounterState {
  const told = JSON.stringify(Object.fromEntries(owed))
  return { counterKey, state: `${state.slice(0, -1)},"owed":${told}}` }
}

function lostCounter(
  found: { readonly charge: LimitCharge; readonly meter: Meter },
  at: { readonly seen: SeenCounter | null; readonly savedAtMs: number; readonly nowMs: number },
): LostCounter {
  const { seen, nowMs } = at
  const { meter } = found
  if (seen !== null && seen.counted && seen.atMs >= at.savedAtMs && isCurrent(seen, nowMs)) {
    const missed = seen.used - meter.settledAt(nowMs)
    if (missed > 0) {
      const ticket = meter.take(missed, nowMs)
      meter.close({ ticket, amount: missed }, missed, nowMs)
    }
  }
  const savedAtMs = Math.max(at.savedAtMs, seen?.atMs ?? 0)
  const charge = seen?.charge ?? found.charge
  return { charge, meter: JSON.stringify(meter.save(nowMs)), savedAtMs }
}

function isCurrent(seen: SeenCounter, nowMs: number): boolean {
  return seen.endsAtMs === null || seen.endsAtMs > nowMs
}

function chargeOf(counter: Counter): LimitCharge {
  return { limit: counter.limit, value: counter.value, counterKey: counter.key }
}

type Extras = {
  /** Without what is owed. */
  readonly state: string
  readonly generation: string
  readonly savedAtMs: number
  readonly uses: readonly { readonly name: string; readonly used: number }[]
}

function extrasOf(state: string): Extras {
  const parsed: unknown = JSON.parse(state)
  const { owed, ...extras } = isRecord(parsed) ? parsed : {}
  const { generation, saved_at_ms: savedAtMs } = extras
  return {
    state: owed === undefined ? state : JSON.stringify(extras),
    generation: typeof generation === 'string' ? generation : '',
    savedAtMs: typeof savedAtMs === 'number' ? savedAtMs : 0,
    uses: Object.entries(isRecord(owed) ? owed : {}).flatMap(([name, used]) =>
      typeof used === 'number' ? [{ name, used }] : [],
    ),
  }
}
