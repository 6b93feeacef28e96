import { isRecord } from '../../lib/is-record.ts'

type Slot = Map<string, unknown> | unknown[]

const MAX_DEPTH = 64
/** `.name`, `['name']`, `["name"]` or `[0]`, one after the other. */
const STEP = /\.([^.[\]]+)|\[(\d{1,6})\]|\['([^']*)'\]|\["([^"]*)"\]/y

/**
 * Arguments that are streamed value by value, each with its place (`$.a[0].b`).
 *
 * @see https://ai.google.dev/api (PartialArg, as in the official client 3.1, read 2026-11-21)
 */
export class PartialArgs {
  private readonly root = new Map<string, unknown>()

  add(args: unknown): void {
    for (const arg of Array.isArray(args) ? args : []) if (isRecord(arg)) this.addOne(arg)
  }

  json(): string {
    return JSON.stringify(plain(this.root))
  }

  private addOne(arg: Record<string, unknown>): void {
    const steps = parsePath(arg['jsonPath'])
    const last = steps.at(-1)
    if (last === undefined) return
    let slot: Slot = this.root
    for (const [i, step] of steps.slice(0, -1).entries()) {
      const inner = getAt(slot, step)
      if (inner instanceof Map || Array.isArray(inner)) slot = inner
      else {
        const made: Slot = typeof steps[i + 1] === 'number' ? [] : new Map<string, unknown>()
        setAt(slot, step, made)
        slot = made
      }
    }
    const before = getAt(slot, last)
    const value = valueOf(arg)
    setAt(
      slot,
      last,
      typeof before === 'string' && typeof value === 'string' ? before + value : value,
    )
  }
}

function parsePath(path: unknown): readonly (string | number)[] {
  if (typeof path !== 'string' || !path.startsWith('$')) return []
  const steps: (string | number)[] = []
  STEP.lastIndex = 1
  for (let match = STEP.exec(path); match !== null; match = STEP.exec(path)) {
    if (steps.length >= MAX_DEPTH) return []
    const [, name, index, single, double] = match
    steps.push(index === undefined ? (name ?? single ?? double ?? '') : Number(index))
  }
  return steps
}

function getAt(slot: Slot, step: string | number): unknown {
  if (slot instanceof Map) return slot.get(String(step))
  return typeof step === 'number' ? slot[step] : undefined
}

/** Lists grow by one at a time: a far index would make a list of holes. */
function setAt(slot: Slot, step: string | number, value: unknown): void {
  if (slot instanceof Map) slot.set(String(step), value)
  else if (typeof step === 'number' && step <= slot.length) slot[step] = value
}

function valueOf(arg: Record<string, unknown>): unknown {
  return arg['stringValue'] ?? arg['numberValue'] ?? arg['boolValue'] ?? null
}

function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain)
  if (!(value instanceof Map)) return value
  return Object.fromEntries([...value].map(([name, one]) => [String(name), plain(one)]))
}
