import type { LossList } from '../../contracts/dialect.ts'
import { isRecord } from '../../lib/is-record.ts'
import { invalidField } from '../read-body.ts'

export type Fields = Readonly<Record<string, unknown>>

/** Identifiers of the vendor go into a loss as they are; anything else only by its place. */
const VENDOR_NAME = /^[a-z][a-z0-9_]{0,39}$/

export function optionalNumber(fields: Fields, name: string): number | null {
  const value = fields[name]
  if (value === undefined || value === null) return null
  if (typeof value !== 'number') throw invalidField(name, 'must be a number.')
  return value
}

export function optionalText(fields: Fields, name: string, path: string): string | null {
  const value = fields[name]
  if (value === undefined || value === null) return null
  if (typeof value !== 'string') throw invalidField(path, 'must be a string.')
  return value
}

export function requiredText(fields: Fields, name: string, path: string): string {
  const value = fields[name]
  if (typeof value !== 'string') throw invalidField(path, 'must be a string.')
  return value
}

export function optionalRecord(fields: Fields, name: string): Fields | null {
  const value = fields[name]
  if (value === undefined || value === null) return null
  if (!isRecord(value)) throw invalidField(name, 'must be an object.')
  return value
}

export function optionalFlag(fields: Fields, name: string, path: string): boolean | null {
  const value = fields[name]
  if (value === undefined || value === null) return null
  if (typeof value !== 'boolean') throw invalidField(path, 'must be true or false.')
  return value
}

/** Lists what stands in `fields` and is not known. A member that is null says nothing. */
export function listUnknown(
  fields: Fields,
  known: ReadonlySet<string>,
  use: { readonly path: string; readonly losses: LossList },
): void {
  for (const name in fields) {
    if (known.has(name) || fields[name] === null) continue
    use.losses.add(use.path === '' ? name : `${use.path}.${name}`)
  }
}

/** `place.name`, or the place alone when the name is none of a vendor's. */
export function lossOf(place: string, name: unknown): string {
  return typeof name === 'string' && VENDOR_NAME.test(name) ? `${place}.${name}` : place
}
