import type { LossList } from '../contracts/dialect.ts'
import { isRecord } from '../lib/is-record.ts'

type Schema = Readonly<Record<string, unknown>>

/** Limits that Claude's structured outputs refuse; the official client moves them into descriptions. */
const REFUSED: ReadonlySet<string> = new Set([
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'multipleOf',
  'minLength',
  'maxLength',
  'maxItems',
  'uniqueItems',
  'minProperties',
  'maxProperties',
])
/** Members whose values are schemas by name. */
const MAPS: ReadonlySet<string> = new Set(['properties', '$defs', 'definitions'])
const LISTS: ReadonlySet<string> = new Set(['anyOf', 'allOf', 'oneOf', 'prefixItems'])

/**
 * A schema as Claude's structured outputs take it: objects closed, no limits on numbers and lengths.
 *
 * What is cut is listed. Closing an object that said nothing of other members only narrows it, so it is no loss.
 *
 * @see https://platform.claude.com/docs/en/build-with-claude/structured-outputs (from general knowledge)
 */
export function closeSchema(schema: Schema, losses: LossList): Schema {
  const members: [string, unknown][] = []
  for (const name of Object.keys(schema)) {
    const value = schema[name]
    if (name === 'additionalProperties') continue
    if (REFUSED.has(name) || (name === 'minItems' && value !== 0 && value !== 1)) {
      losses.add('output_format.schema')
    } else {
      members.push([name, closeMember(name, value, losses)])
    }
  }
  const { additionalProperties: others } = schema
  if (isObject(schema)) {
    if (others !== undefined && others !== false) losses.add('output_format.schema')
    members.push(['additionalProperties', false])
  } else if (others !== undefined) {
    members.push(['additionalProperties', others])
  }
  return Object.fromEntries(members)
}

function isObject(schema: Schema): boolean {
  const { type } = schema
  return type === 'object' || (Array.isArray(type) && type.includes('object'))
}

function closeMember(name: string, value: unknown, losses: LossList): unknown {
  const close = (one: unknown): unknown => (isRecord(one) ? closeSchema(one, losses) : one)
  if (MAPS.has(name) && isRecord(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, close(one)]))
  }
  if (LISTS.has(name) && Array.isArray(value)) return value.map(close)
  return name === 'items' || name === 'not' ? close(value) : value
}
