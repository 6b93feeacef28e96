import type { KeyView } from '../control-plane/admin-api.ts'
import { facts, table } from './table.ts'

/** For people: one line per key. */
export function keyTable(keys: readonly KeyView[]): string {
  return table(keys, [
    { title: 'id', value: ({ id }) => id },
    { title: 'name', value: ({ name }) => name },
    { title: 'last4', value: ({ last4 }) => last4 },
    { title: 'state', value: ({ state }) => state },
    { title: 'subject', value: subjectText },
    { title: 'policies', value: ({ policies }) => policies.join(',') },
    { title: 'expires', value: ({ expires_at: at }) => at },
    { title: 'rotation', value: rotationText },
    { title: 'last used', value: ({ last_used_at: at }) => at },
  ])
}

export function keyFacts(key: KeyView): string {
  return facts([
    ['id', key.id],
    ['name', key.name],
    ['last4', key.last4],
    ['state', key.state],
    ['expires', key.expires_at],
    ['subject', subjectText(key)],
    ['scopes', key.scopes.length === 0 ? 'all' : key.scopes.join(', ')],
    ['policies', key.policies.join(', ')],
    ['policy', JSON.stringify(key.policy)],
    ['metadata', JSON.stringify(key.metadata)],
    ['created', key.created_at],
    ['last used', key.last_used_at],
    ['rotate every', key.rotate_every],
    ['rotation due', rotationText(key)],
  ])
}

/** When it is due; said so when that is over. */
function rotationText({ rotation_due_at: at }: KeyView): string | null {
  if (at === null) return null
  return Date.parse(at) <= Date.now() ? `overdue since ${at}` : at
}

function subjectText({ subject }: KeyView): string {
  return Object.entries(subject)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
}
