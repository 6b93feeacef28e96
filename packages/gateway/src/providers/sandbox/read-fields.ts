import { isRecord } from '../../lib/is-record.ts'
import { BadAsk } from './ask.ts'

type Body = Readonly<Record<string, unknown>>

export function readText(body: Body, name: string): string {
  const value = body[name]
  if (typeof value === 'string' && value !== '') return value
  throw new BadAsk(`${name}: a non-empty string is required`, name)
}

/** Null when absent or null. */
export function readInteger(body: Body, name: string, least: number, most: number): number | null {
  const value = body[name]
  if (value === undefined || value === null) return null
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) {
    return value
  }
  throw new BadAsk(`${name}: an integer from ${least} to ${most} is required`, name)
}

export function readBoolean(body: Body, name: string): boolean {
  const value = body[name]
  if (value === undefined || value === null) return false
  if (typeof value === 'boolean') return value
  throw new BadAsk(`${name}: a boolean is required`, name)
}

/** Numbers are checked for range and otherwise ignored: the sandbox does not sample. */
export function checkNumber(body: Body, name: string, least: number, most: number): void {
  const value = body[name]
  if (value === undefined || value === null) return
  if (typeof value === 'number' && value >= least && value <= most) return
  throw new BadAsk(`${name}: a number from ${least} to ${most} is required`, name)
}

export function readRecords(body: Body, name: string): readonly Record<string, unknown>[] {
  const value = body[name]
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw new BadAsk(`${name}: an array is required`, name)
  return value.map((entry: unknown, i) => {
    if (isRecord(entry)) return entry
    throw new BadAsk(`${name}[${i}]: an object is required`, `${name}[${i}]`)
  })
}

export function readMessages(body: Body): readonly Record<string, unknown>[] {
  const messages = readRecords(body, 'messages')
  if (messages.length > 0) return messages
  throw new BadAsk('messages: at least one message is required', 'messages')
}

export function readStrings(value: unknown, name: string, most: number): readonly string[] {
  if (value === undefined || value === null) return []
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (list.length > most) throw new BadAsk(`${name}: at most ${most} strings`, name)
  return list.map((entry) => {
    if (typeof entry === 'string') return entry
    throw new BadAsk(`${name}: strings are required`, name)
  })
}

export function textOr(value: unknown, instead: string): string {
  return typeof value === 'string' ? value : instead
}
