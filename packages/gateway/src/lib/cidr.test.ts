import { describe, expect, it } from 'vitest'
import { compileCidrs, intersectCidrs, networkOf, parseCidr } from './cidr.ts'

describe('parseCidr', () => {
  it.each(['10.0.0.0/8', '127.0.0.1', '0.0.0.0/0', '::/0', '::1', 'fd00::/8', '2001:db8:1::/48'])(
    'takes %s',
    (text) => {
      expect(parseCidr(text)?.text).toBe(text)
    },
  )
  it.each([
    '',
    '10.0.0.1/8',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0/8',
    'fd00::/129',
    'localhost',
    'fe80::1%eth0',
    '010.0.0.1',
  ])('refuses %j', (text) => {
    expect(parseCidr(text)).toBeNull()
  })
})

describe('compileCidrs', () => {
  const inside = compileCidrs(['10.0.0.0/8', 'fd00::/8', '192.168.1.7'])
  it.each([
    ['10.255.0.1', true],
    ['::ffff:10.1.2.3', true],
    ['11.0.0.1', false],
    ['fd12:3456::1', true],
    ['fe80::1', false],
    ['192.168.1.7', true],
    ['192.168.1.8', false],
    ['nonsense', false],
    ['', false],
  ])('%s: %s', (ip, expected) => {
    expect(inside(ip)).toBe(expected)
  })
})

describe('networkOf', () => {
  it('is the same for the addresses of one IPv6 network, and an IPv4 address by itself', () => {
    const network = networkOf('2001:db8:0:7::1', 64)
    expect(networkOf('2001:0DB8::7:ffff:0:0:9', 64)).toBe(network)
    expect(networkOf('2001:db8:0:8::1', 64)).not.toBe(network)
    expect(networkOf('10.0.0.1', 64)).not.toBe(networkOf('10.0.0.2', 64))
    expect(networkOf('nonsense', 64)).toBeNull()
  })
})

describe('intersectCidrs', () => {
  it('keeps the smaller of each nested pair', () => {
    expect(
      intersectCidrs(['10.0.0.0/8', '192.168.0.0/16'], ['10.1.0.0/16', '172.16.0.0/12']),
    ).toEqual(['10.1.0.0/16'])
    expect(intersectCidrs(['0.0.0.0/0'], ['10.0.0.0/8', '::1'])).toEqual(['10.0.0.0/8'])
    expect(intersectCidrs(['10.0.0.0/8'], ['11.0.0.0/8'])).toEqual([])
  })
})
