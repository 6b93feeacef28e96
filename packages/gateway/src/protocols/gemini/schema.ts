import { isRecord } from '../../lib/is-record.ts'
import { camelMembers } from './spelling.ts'

type Schema = Readonly<Record<string, unknown>>

const MAX_DEPTH = 64
/** Keywords of OpenAPI's schemas that JSON Schema does not know. */
const DROPPED: ReadonlySet<string> = new Set(['nullable', 'propertyOrdering', 'example'])
/** Numbers that protobuf's JSON may write as text. */
const COUNTS: ReadonlySet<string> = new Set([
  'minItems',
  'maxItems',
  'minLength',
  'maxLength',
  'minProperties',
  'maxProperties',
])

/**
 * Google's older schemas (OpenAPI 3.0 with upper-case types) as JSON Schema. What is JSON Schema already stays as it is.
 *
 * @see https://ai.google.dev/api/caching#Schema (from general knowledge)
 */
export function toJsonSchema(schema: Schema, depth = 0): Schema {
  if (depth > MAX_DEPTH) return {}
  const members = camelMembers(schema, '')
  const converted: [string, unknown][] = []
  for (const [name, value] of Object.entries(members)) {
    if (!DROPPED.has(name)) converted.push([name, convert(name, value, depth + 1)])
  }
  const result: Record<string, unknown> = Object.fromEntries(converted)
  if (members['nullable'] !== true || typeof result['type'] !== 'string') return result
  return { ...result, type: [result['type'], 'null'] }
}

function convert(name: string, value: unknown, depth: number): unknown {
  if (name === 'type') return typeof value === 'string' ? value.toLowerCase() : value
  if (COUNTS.has(name) && typeof value === 'string') return Number(value)
  if (name === 'properties' && isRecord(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, inner(one, depth)]))
  }
  if (name === 'items') return inner(value, depth)
  return name === 'anyOf' && Array.isArray(value) ? value.map((one) => inner(one, depth)) : value
}

function inner(value: unknown, depth: number): unknown {
  return isRecord(value) ? toJsonSchema(value, depth) : value
}
