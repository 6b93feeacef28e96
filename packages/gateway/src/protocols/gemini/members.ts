import type { LossList } from '../../contracts/dialect.ts'
import { invalidField } from '../read-body.ts'

export type Members = Readonly<Record<string, unknown>>

/** Lists the members of a message that nothing reads. What is null or false says nothing. */
export function listUnread(
  members: Members,
  read: ReadonlySet<string>,
  use: { readonly at: string; readonly losses: LossList },
): void {
  for (const name in members) {
    const value = members[name]
    if (read.has(name) || value === null || value === false) continue
    use.losses.add(use.at === '' ? name : `${use.at}.${name}`)
  }
}

export function optionalNumber(members: Members, name: string, at: string): number | null {
  const value = members[name]
  if (value === undefined || value === null) return null
  if (typeof value !== 'number') throw invalidField(`${at}.${name}`, 'must be a number.')
  return value
}

export function optionalText(members: Members, name: string, at: string): string | null {
  const value = members[name]
  if (value === undefined || value === null) return null
  if (typeof value !== 'string')
    throw invalidField(at === '' ? name : `${at}.${name}`, 'must be a string.')
  return value
}
