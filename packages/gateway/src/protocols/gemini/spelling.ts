import { isRecord } from '../../lib/is-record.ts'
import { invalidField } from '../read-body.ts'

type Members = Readonly<Record<string, unknown>>

/**
 * Google's servers read `maxOutputTokens` and `max_output_tokens` as the same member, as all of protobuf's JSON does.
 *
 * @see https://protobuf.dev/programming-guides/json/ (from general knowledge)
 */
export function toCamel(name: string): string {
  return name.includes('_') ? name.replace(/_([a-z0-9])/g, (_, letter) => upper(letter)) : name
}

export function toSnake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/**
 * The members of one message under their camel-case names; messages that need no change are returned as they are.
 *
 * Throws when a member stands there twice, in both spellings: it is not known which one the provider would take.
 */
export function camelMembers(message: Members, at: string): Members {
  let odd = false
  for (const name in message) if (name.includes('_')) odd = true
  if (!odd) return message
  const members = new Map<string, unknown>()
  for (const [name, value] of Object.entries(message)) {
    const camel = toCamel(name)
    if (members.has(camel)) throw twice(at === '' ? camel : `${at}.${camel}`)
    members.set(camel, value)
  }
  return Object.fromEntries(members)
}

export function twice(path: string): Error {
  return invalidField(path, 'must not be given in both spellings.')
}

/** A repeated member: a list, or one element alone, which Google's servers take too. */
export function repeated(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  return isRecord(value) ? [value] : []
}

/** A message inside another; nothing when it is absent. Throws when it is something else. */
export function messageMembers(value: unknown, at: string): Members | null {
  if (value === undefined || value === null) return null
  if (!isRecord(value)) throw invalidField(at, 'must be an object.')
  return camelMembers(value, at)
}

function upper(letter: unknown): string {
  return String(letter).toUpperCase()
}
