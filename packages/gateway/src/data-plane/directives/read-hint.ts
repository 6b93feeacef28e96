import { GatewayError } from '../../errors/gateway-error.ts'
import { isRecord } from '../../lib/is-record.ts'
import { NO_HINTS, type RoutingHints } from '../../contracts/routing.ts'
import { THOMPSON } from '../../plan/compile-routing.ts'
import type { RoutingPlan } from '../../plan/gateway-plan.ts'

const NANO_PER_USD = 1e9
const MAX_USD = 100
const MAX_LATENCY_MS = 300_000
const MAX_WEIGHT = 1000
const MS_PER_SECOND = 1000

/** What is asked for, in text or in headers. `outputSchema`: JSON. */
export type AskedHints = RoutingHints & { readonly outputSchema: string | null }

export const NOTHING_ASKED: AskedHints = { ...NO_HINTS, outputSchema: null }

type Reader = (value: string, modes: RoutingPlan['modes']) => Partial<AskedHints> | null

/** By key. Null: the value is none that could be followed. */
const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['mode', readMode],
  ['budget', (value) => inRange('maxCostNanoUsd', readUsd(value), MAX_USD * NANO_PER_USD)],
  ['latency', (value) => inRange('maxLatencyMs', readMs(value), MAX_LATENCY_MS)],
  ['min_weight', readWeight],
  ['output_schema', readSchema],
])

export const HINT_KEYS: readonly string[] = [...READERS.keys()]

/** One pair; null: the key is unknown, or its value cannot be followed. Throws `invalid_request` for a schema that is none. */
export function readHint(
  key: string,
  value: string,
  modes: RoutingPlan['modes'],
): Partial<AskedHints> | null {
  return READERS.get(hintKey(key))?.(value, modes) ?? null
}

export function hintKey(key: string): string {
  return key.toLowerCase().replaceAll('-', '_')
}

function readMode(value: string, modes: RoutingPlan['modes']): Partial<AskedHints> | null {
  const mode = value.toLowerCase()
  return modes.has(mode) || mode === THOMPSON ? { mode } : null
}

function inRange(
  name: 'maxCostNanoUsd' | 'maxLatencyMs',
  value: number,
  most: number,
): Partial<AskedHints> | null {
  return value >= 1 && value <= most ? { [name]: Math.floor(value) } : null
}

/** NaN: it is no number. */
function readUsd(value: string): number {
  return /^\$?(?:\d{1,9}(?:\.\d{0,12})?|\.\d{1,12})$/.test(value)
    ? Math.round(Number(value.replace('$', '')) * NANO_PER_USD)
    : Number.NaN
}

function readMs(value: string): number {
  const match = /^(\d{1,9})(ms|s)?$/.exec(value)
  if (match === null) return Number.NaN
  return Number(match[1]) * (match[2] === 's' ? MS_PER_SECOND : 1)
}

function readWeight(value: string): Partial<AskedHints> | null {
  const weight = /^\d{1,9}(?:\.\d{1,9})?$/.test(value) ? Number(value) : Number.NaN
  return weight <= MAX_WEIGHT ? { minWeight: weight } : null
}

/** A caller that counts on a shape must know that it will not get it. */
function readSchema(value: string): Partial<AskedHints> {
  let schema: unknown = null
  try {
    schema = JSON.parse(value)
  } catch {
    // Told below.
  }
  if (isRecord(schema)) return { outputSchema: value }
  throw new GatewayError('invalid_request', 'output_schema: must be a JSON object.', {
    details: { param: 'output_schema' },
  })
}

/** Of the way the first that says one, of the bounds the tightest. */
export function tightest(first: AskedHints, second: AskedHints): AskedHints {
  return {
    mode: first.mode ?? second.mode,
    maxCostNanoUsd: smaller(first.maxCostNanoUsd, second.maxCostNanoUsd),
    maxLatencyMs: smaller(first.maxLatencyMs, second.maxLatencyMs),
    minWeight: larger(first.minWeight, second.minWeight),
    outputSchema: first.outputSchema ?? second.outputSchema,
  }
}

function smaller(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.min(one, other)
}

function larger(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.max(one, other)
}
