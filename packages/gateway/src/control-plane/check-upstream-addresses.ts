import { lookup } from 'node:dns/promises'
import { isRecord } from '../lib/is-record.ts'
import { isSpecialAddress } from '../lib/special-addresses.ts'
import { AdminError } from './admin-error.ts'
import type { Control } from './control.ts'

/** A name that takes longer is looked at when it is dialled. */
const MAX_LOOKUP_MS = 2000

/** All addresses of a name; none when it has none, or nobody can tell. */
export type AddressesOf = (name: string) => Promise<readonly string[]>

/**
 * Refuses `upstream_url` whose name stands for a private address now: an early word, since every connection is checked
 * again. What else is wrong with the policy is told elsewhere. Throws `invalid_policy`.
 */
export async function checkUpstreamAddresses(
  control: Control,
  policy: unknown,
  addressesOf: AddressesOf = lookUp,
): Promise<void> {
  const { enabled, allowPrivate } = control.plan().policies.operator.customUpstreams
  if (!enabled || allowPrivate) return
  for (const { url, path } of urlsOf(policy)) {
    if (!URL.canParse(url)) continue
    const name = new URL(url).hostname
    const addresses = await addressesOf(name)
    if (!addresses.some(isSpecialAddress)) continue
    const problem = `${name} stands for a private or special-use address; custom_upstreams.allow_private is false`
    throw new AdminError('invalid_policy', `${path}: ${problem}`, { path })
  }
}

function urlsOf(policy: unknown): readonly { readonly url: string; readonly path: string }[] {
  if (!isRecord(policy)) return []
  const listed = policy['providers']
  const entries = isRecord(listed) ? Object.values(listed).flat() : listed
  const all = [policy, ...(Array.isArray(entries) ? entries : [])]
  return all.flatMap((fields: unknown, index) => {
    const url = isRecord(fields) ? fields['upstream_url'] : undefined
    const path = index === 0 ? 'upstream_url' : `providers[${index - 1}].upstream_url`
    return typeof url === 'string' ? [{ url, path }] : []
  })
}

const lookUp: AddressesOf = async (name) => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<readonly string[]>((resolve) => {
    timer = setTimeout(() => resolve([]), MAX_LOOKUP_MS)
  })
  const found = lookup(name.replace(/^\[|\]$/g, ''), { all: true })
    .then((list) => list.map(({ address }) => address))
    .catch(() => [])
  return await Promise.race([found, late]).finally(() => clearTimeout(timer))
}
