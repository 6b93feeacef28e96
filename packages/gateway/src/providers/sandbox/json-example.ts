import { isRecord } from '../../lib/is-record.ts'

const MAX_DEPTH = 8

/** The smallest value that fits the common part of JSON Schema; `null` stands for "any object". */
export function exampleOf(schema: unknown, depth = 0): unknown {
  if (!isRecord(schema)) return depth === 0 ? { answer: 'sandbox' } : 'sandbox'
  if (depth > MAX_DEPTH) return null
  if (schema['const'] !== undefined) return schema['const']
  if (Array.isArray(schema['enum'])) return schema['enum'][0]
  const variants = schema['anyOf'] ?? schema['oneOf']
  if (Array.isArray(variants)) return exampleOf(variants[0], depth + 1)
  return byType(schema, depth)
}

function byType(schema: Record<string, unknown>, depth: number): unknown {
  const type = Array.isArray(schema['type']) ? schema['type'][0] : schema['type']
  if (type === 'object' || schema['properties'] !== undefined) return exampleObject(schema, depth)
  if (type === 'array')
    return schema['minItems'] === 1 ? [exampleOf(schema['items'], depth + 1)] : []
  if (type === 'number' || type === 'integer')
    return typeof schema['minimum'] === 'number' ? schema['minimum'] : 1
  if (type === 'boolean') return true
  if (type === 'null') return null
  return depth === 0 && type === undefined ? {} : 'sandbox'
}

/** Required members only; all of them when the schema names none as required. */
function exampleObject(schema: Record<string, unknown>, depth: number): Record<string, unknown> {
  const properties = isRecord(schema['properties']) ? schema['properties'] : {}
  const required: readonly unknown[] = Array.isArray(schema['required'])
    ? schema['required']
    : Object.keys(properties)
  return Object.fromEntries(
    required
      .filter((name) => typeof name === 'string')
      .map((name) => [name, exampleOf(properties[name] ?? {}, depth + 1)]),
  )
}
