import { isIP } from 'node:net'

/** A network. IPv4 is kept as IPv4-mapped IPv6, so that `::ffff:10.0.0.1` and `10.0.0.1` are one address. */
export type Cidr = { readonly network: bigint; readonly prefixBits: number; readonly text: string }

const BITS = 128
const MAPPED_PREFIX = 0xffffn << 32n

/** `10.0.0.0/8`, `fd00::/8` or one address. Null: not a network, or bits are set beyond the prefix. */
export function parseCidr(text: string): Cidr | null {
  const slash = text.indexOf('/')
  const address = slash < 0 ? text : text.slice(0, slash)
  const value = parseIp(address)
  if (value === null) return null
  const ownBits = isIP(address) === 4 ? 32 : BITS
  const prefix = slash < 0 ? String(ownBits) : text.slice(slash + 1)
  if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > ownBits) return null
  const prefixBits = Number(prefix) + (BITS - ownBits)
  return maskTo(value, prefixBits) === value ? { network: value, prefixBits, text } : null
}

function cidrContains(outer: Cidr, inner: Cidr): boolean {
  return (
    outer.prefixBits <= inner.prefixBits &&
    maskTo(inner.network, outer.prefixBits) === outer.network
  )
}

/** The networks that are in both lists. Networks nest or are disjoint, so the smaller of each nested pair is the answer. */
export function intersectCidrs(a: readonly string[], b: readonly string[]): readonly string[] {
  const shared = new Set<string>()
  for (const left of parseAll(a)) {
    for (const right of parseAll(b)) {
      if (cidrContains(left, right)) shared.add(right.text)
      else if (cidrContains(right, left)) shared.add(left.text)
    }
  }
  return [...shared]
}

/** A test for addresses. What is no address is in no network. */
export function compileCidrs(list: readonly string[]): (ip: string) => boolean {
  const networks = parseAll(list)
  return (ip) => {
    const value = parseIp(ip)
    if (value === null) return false
    return networks.some((cidr) => maskTo(value, cidr.prefixBits) === cidr.network)
  }
}

/** The network of so many bits that an IPv6 address is in; an IPv4 address is its own. Null: no address. */
export function networkOf(ip: string, ipv6Bits: number): bigint | null {
  const value = parseIp(ip)
  if (value === null) return null
  return maskTo(value, isIP(ip) === 4 ? BITS : ipv6Bits)
}

function parseAll(list: readonly string[]): readonly Cidr[] {
  return list.map(parseCidr).filter((cidr) => cidr !== null)
}

function maskTo(value: bigint, prefixBits: number): bigint {
  const hostBits = BigInt(BITS - prefixBits)
  return (value >> hostBits) << hostBits
}

function parseIp(text: string): bigint | null {
  const kind = isIP(text)
  if (kind === 4) return MAPPED_PREFIX | parseIpv4(text)
  return kind === 6 && !text.includes('%') ? parseIpv6(text) : null
}

function parseIpv4(text: string): bigint {
  return text.split('.').reduce((value, part) => (value << 8n) | BigInt(part), 0n)
}

function parseIpv6(text: string): bigint {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text)
  const plain = dotted === null ? text : `${dotted[1]}${asGroups(parseIpv4(dotted[2] ?? ''))}`
  const [head = '', tail] = plain.split('::')
  const headGroups = groups(head)
  const tailGroups = groups(tail ?? '')
  const zeros = Array.from({ length: 8 - headGroups.length - tailGroups.length }, () => '0')
  return [...headGroups, ...zeros, ...tailGroups].reduce(
    (value, group) => (value << 16n) | BigInt(`0x${group}`),
    0n,
  )
}

function asGroups(ipv4: bigint): string {
  return `${(ipv4 >> 16n).toString(16)}:${(ipv4 & 0xffffn).toString(16)}`
}

function groups(text: string): readonly string[] {
  return text === '' ? [] : text.split(':')
}
