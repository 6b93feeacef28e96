import { BlockList, isIP } from 'node:net'

/**
 * Networks that are not the public internet.
 *
 * @see https://www.iana.org/assignments/iana-ipv4-special-registry and …/iana-ipv6-special-registry (from general
 * knowledge, not read live)
 */
const NETWORKS_V4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.31.196.0', 24],
  ['192.52.193.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['192.175.48.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
]

/** Only 2000::/3 is global unicast; what lies inside it and is special is listed too. */
const NETWORKS_V6: readonly (readonly [string, number])[] = [
  ['::', 3],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
  ['4000::', 2],
  ['8000::', 1],
]

/** Two lists: one that holds `::/3` takes every IPv4 address for a mapped one, and so for special. */
const specialV4 = new BlockList()
for (const [network, bits] of NETWORKS_V4) specialV4.addSubnet(network, bits, 'ipv4')
const specialV6 = new BlockList()
for (const [network, bits] of NETWORKS_V6) specialV6.addSubnet(network, bits, 'ipv6')

/** True for loopback, private, link-local, metadata, documentation and every other special-use address. */
export function isSpecialAddress(address: string): boolean {
  const bare = address.replace(/^\[|\]$/g, '').replace(/%.*$/, '')
  const family = isIP(bare)
  if (family === 0) return true
  return family === 4 ? specialV4.check(bare, 'ipv4') : specialV6.check(bare, 'ipv6')
}

/** True where a URL's host shows, without a look-up, that it is special: such an address, or this machine by name. */
export function isSpecialHost(hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
  return isIP(host) === 0 ? /(?:^|\.)localhost$/.test(host) : isSpecialAddress(host)
}
