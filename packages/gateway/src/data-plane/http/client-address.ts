import { BlockList, isIP } from 'node:net'
import type { RequestHead } from './request-head.ts'

const blockLists = new WeakMap<readonly string[], BlockList>()

/** Whether an address lies in one of the CIDRs (or equals one of the addresses). */
export function isAddressIn(address: string, cidrs: readonly string[]): boolean {
  const family = isIP(address)
  if (family === 0) return false
  return listOf(cidrs).check(address, family === 4 ? 'ipv4' : 'ipv6')
}

function listOf(cidrs: readonly string[]): BlockList {
  const known = blockLists.get(cidrs)
  if (known !== undefined) return known
  const list = new BlockList()
  for (const cidr of cidrs) {
    const [network = '', bits] = cidr.split('/')
    const type = isIP(network) === 6 ? 'ipv6' : 'ipv4'
    if (bits === undefined) list.addAddress(network, type)
    else list.addSubnet(network, Number(bits), type)
  }
  blockLists.set(cidrs, list)
  return list
}

/**
 * Who calls: the socket's peer, unless that is a declared proxy.
 *
 * Behind declared proxies it is the right-most address of `x-forwarded-for` that is not one of them. IPv4 inside IPv6
 * is given as IPv4.
 */
export function clientAddress(
  head: RequestHead,
  peer: string | undefined,
  trustedProxies: readonly string[],
): string {
  const direct = unmapped(peer ?? '')
  if (trustedProxies.length === 0 || !isAddressIn(direct, trustedProxies)) return direct
  for (const part of forwardedFor(head).toReversed()) {
    const address = unmapped(part.trim())
    if (isIP(address) === 0) break
    if (!isAddressIn(address, trustedProxies)) return address
  }
  return direct
}

/** A proxy may add a field of its own behind one that the client sent; only the order of all counts. */
function forwardedFor({ fields }: RequestHead): readonly string[] {
  const parts: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] === 'x-forwarded-for') parts.push(...(fields[i + 1] ?? '').split(','))
  }
  return parts
}

function unmapped(address: string): string {
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address
}
