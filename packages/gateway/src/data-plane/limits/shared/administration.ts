import {
  type CounterState,
  type CounterView,
  LIMIT_SCOPES,
  LIMIT_UNITS,
  type LimitScope,
} from '../../../contracts/limit.ts'
import {
  type ScriptConnection,
  type ScriptValue,
  ServerAway,
} from '../../../contracts/script-server.ts'
import type { SharedCounter, SharedReading } from '../../../contracts/shared-counters.ts'
import { isRecord } from '../../../lib/is-record.ts'
import { BATCH, batches, listOf, numberOf } from './script-calls.ts'
import type { SharedGateParts } from './gate-parts.ts'
import { type SavedWords, storedState } from './known-states.ts'

type NamedView = { readonly name: string; readonly view: CounterView }

/** What all processes have counted; while the server is away, what this one last saw. */
export async function listCounters(
  parts: SharedGateParts,
  connection: ScriptConnection | null,
): Promise<readonly CounterView[]> {
  if (connection === null) return lastSeen(parts)
  const found = await namedViews(parts, connection)
  return found.map(({ view }) => view)
}

export async function changeCounters(
  parts: SharedGateParts,
  connection: ScriptConnection | null,
  change: {
    readonly kind: 'reset' | 'grant'
    readonly limitId: string
    readonly value: string | null
    readonly extra: number
  },
): Promise<readonly CounterState[]> {
  if (connection === null) throw new ServerAway('Redis is away.')
  const found = await namedViews(parts, connection)
  const names = found
    .filter(({ view }) => view.id === change.limitId)
    .filter(({ view }) => change.value === null || view.value === change.value)
    .map(({ name }) => name)
  const states: CounterState[] = []
  for (const batch of batches(names)) {
    const args = [change.kind, String(change.extra), ...batch]
    const answer = await parts.call(connection, 'change', batch, args)
    const at = { generation: parts.generation(), nowMs: answer.nowMs }
    for (const [index, name] of batch.entries()) {
      const words = wordsOf(answer.list(2)[index])
      if (words === null) continue
      states.push(parts.known.learn(name, words, at))
      parts.dirty.add(name)
      const seen = parts.seen.find(name)
      if (seen !== null) seen.counted = false
    }
  }
  return states
}

/** Description, state and era, as `saved` of gate.lua gives them. Null: there is no such counter. */
export function wordsOf(told: ScriptValue | undefined): SavedWords | null {
  const [description, meter, era] = listOf(told)
  if (typeof description !== 'string' || typeof meter !== 'string') return null
  return { description, meter, era: typeof era === 'string' ? era : '' }
}

/** Every counter of an hour or more, and those named besides, as they are now. Throws `ServerAway`. */
export async function readDurable(
  parts: SharedGateParts,
  connection: ScriptConnection | null,
  besides: readonly string[],
): Promise<SharedReading> {
  if (connection === null) throw new ServerAway('Redis is away.')
  const counters: SharedCounter[] = []
  let nowMs = 0
  const names = new Set([...(await allNames(parts, connection)), ...besides])
  for (const batch of batches([...names])) {
    const answer = await parts.call(connection, 'save', batch, [])
    nowMs = answer.nowMs
    const at = { generation: parts.generation(), nowMs }
    for (const [index, counterKey] of batch.entries()) {
      const told = answer.list(2)[index]
      const words = wordsOf(told)
      if (words === null) continue
      const { state } = storedState(counterKey, words, at)
      counters.push({ counterKey, state, ledgers: listOf(listOf(told)[3]).map(String) })
    }
  }
  const { ledger = null } = parts.options
  return { nowMs, generation: parts.generation(), ledger, counters }
}

async function namedViews(
  parts: SharedGateParts,
  connection: ScriptConnection,
): Promise<readonly NamedView[]> {
  const views: NamedView[] = []
  for (const batch of batches(await allNames(parts, connection))) {
    const answer = await parts.call(connection, 'view', batch, batch)
    for (const [index, name] of batch.entries()) {
      const view = viewOf(listOf(answer.list(2)[index]), parts)
      if (view !== null) views.push({ name, view })
    }
  }
  return views.toSorted((one, other) => (one.name < other.name ? -1 : 1))
}

async function allNames(
  parts: SharedGateParts,
  connection: ScriptConnection,
): Promise<readonly string[]> {
  const names = new Set<string>()
  let cursor = '0'
  do {
    const page = await connection.scanSet(parts.keys.index, cursor)
    for (const name of page.members) names.add(name)
    cursor = page.cursor
  } while (cursor !== '0')
  return [...names]
}

/** Counters that are gone by themselves leave the index; asked a page at a time. */
export async function sweepIndex(
  parts: SharedGateParts,
  connection: ScriptConnection,
  cursor: string,
): Promise<string> {
  const page = await connection.scanSet(parts.keys.index, cursor)
  for (const names of batches(page.members.slice(0, BATCH * 4))) {
    await parts.call(connection, 'view', names, names)
  }
  return page.cursor
}

function viewOf(told: readonly ScriptValue[], { time }: SharedGateParts): CounterView | null {
  const [description] = told
  if (typeof description !== 'string') return null
  const named: unknown = JSON.parse(`{${description}}`)
  if (!isRecord(named)) return null
  const { id, value } = named
  const unit = LIMIT_UNITS.find((one) => one === named['unit'])
  const scope = scopeOf(named['scope'])
  if (typeof id !== 'string' || typeof value !== 'string') return null
  if (unit === undefined || scope === null) return null
  const endsAtMs = numberOf(told[4])
  return {
    id,
    scope,
    value,
    unit,
    used: numberOf(told[1]),
    reserved: numberOf(told[2]),
    amount: numberOf(told[3]),
    resetsAtMs: endsAtMs < 0 ? null : time.toWallMs(endsAtMs),
  }
}

function scopeOf(scope: unknown): LimitScope | null {
  if (typeof scope !== 'string') return null
  if (scope.startsWith('tag:')) return `tag:${scope.slice('tag:'.length)}`
  return LIMIT_SCOPES.find((one) => one === scope) ?? null
}

function lastSeen({ seen, time }: SharedGateParts): readonly CounterView[] {
  const views: CounterView[] = []
  for (const counter of seen.all()) {
    if (!counter.counted || counter.used + counter.reserved === 0) continue
    const { limit, value, used, reserved, amount, resetsAtMs } = counter.stateAt(time.toWallMs)
    const { id, scope, unit } = limit
    views.push({ id, scope, value, unit, used, reserved, amount, resetsAtMs })
  }
  return views
}
