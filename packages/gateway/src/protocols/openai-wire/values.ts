import type { LossList } from '../../contracts/dialect.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { isRecord } from '../../lib/is-record.ts'
import { invalidField } from '../read-body.ts'

export type Members = Readonly<Record<string, unknown>>

const NO_MEMBERS: Members = {}

export function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

export function asMembers(value: unknown): Members {
  return isRecord(value) ? value : NO_MEMBERS
}

/** Null and absent are the same to OpenAI: not stated. */
export function isStated(value: unknown): boolean {
  return value !== undefined && value !== null
}

/** Lists every stated member that is not among the known. */
export function listUnknown(
  members: Members,
  known: ReadonlySet<string>,
  { prefix, losses }: { readonly prefix: string; readonly losses: LossList },
): void {
  for (const name of Object.keys(members)) {
    if (!known.has(name) && isStated(members[name])) losses.add(prefix + name)
  }
}

/** A refusal of what would make the answer wrong rather than poorer. */
export function notTranslatable(param: string, problem: string): GatewayError {
  return new GatewayError('not_translatable', `${param}: ${problem}`, { details: { param } })
}

export function readNumber(members: Members, name: string): number | null {
  const value = members[name]
  if (!isStated(value)) return null
  if (typeof value !== 'number') throw invalidField(name, 'must be a number.')
  return value
}

export function readBoolean(members: Members, name: string, path: string = name): boolean | null {
  const value = members[name]
  if (!isStated(value)) return null
  if (typeof value !== 'boolean') throw invalidField(path, 'must be true or false.')
  return value
}

export function readText(members: Members, name: string, path: string = name): string | null {
  const value = members[name]
  if (!isStated(value)) return null
  if (typeof value !== 'string') throw invalidField(path, 'must be a string.')
  return value
}

export function needText(members: Members, name: string, path: string): string {
  const value = members[name]
  if (typeof value !== 'string') throw invalidField(path, 'must be a string.')
  return value
}

export function needMembers(value: unknown, path: string): Members {
  if (!isRecord(value)) throw invalidField(path, 'must be an object.')
  return value
}

/** A list; an absent one is empty. */
export function readList(members: Members, name: string, path: string = name): readonly unknown[] {
  const value = members[name]
  if (!isStated(value)) return []
  if (!Array.isArray(value)) throw invalidField(path, 'must be a list.')
  return value
}

/** Text by name, such as `metadata`. */
export function readTexts(members: Members, name: string): Readonly<Record<string, string>> {
  const value = members[name]
  if (!isStated(value)) return {}
  const texts: [string, string][] = []
  for (const [key, text] of Object.entries(needMembers(value, name))) {
    if (typeof text !== 'string') throw invalidField(name, 'must hold only strings.')
    texts.push([key, text])
  }
  return Object.fromEntries(texts)
}
