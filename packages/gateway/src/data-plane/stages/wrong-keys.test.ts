import { describe, expect, it } from 'vitest'
import { WrongKeys } from './wrong-keys.ts'

const guess = (i: number): string => `tkn_${String(i).padStart(43, '0')}`

function codes(count: number, from: (i: number) => string, keys = new WrongKeys()): string[] {
  return Array.from({ length: count }, (_, i) => keys.refusal(guess(i), from(i), 0).code)
}

describe('WrongKeys', () => {
  it('slows a source down after 20 wrong keys, and says until when', () => {
    const keys = new WrongKeys()
    expect(new Set(codes(20, () => '10.0.0.1', keys))).toEqual(new Set(['invalid_api_key']))
    expect(keys.refusal(guess(20), '10.0.0.1', 30_500)).toMatchObject({
      code: 'too_many_wrong_keys',
      status: 429,
      details: { headers: { 'retry-after': '30', 'x-should-retry': 'false' } },
    })
    expect(keys.refusal(guess(21), '10.0.0.2', 30_500).status).toBe(401)
    expect(keys.refusal(guess(22), '10.0.0.1', 60_000).status).toBe(401)
  })

  it('takes the addresses of one IPv6 network for one source', () => {
    expect(codes(21, (i) => `2001:db8:0:7::${i.toString(16)}`).at(-1)).toBe('too_many_wrong_keys')
    expect(codes(21, (i) => `2001:db8:0:${i.toString(16)}::1`).at(-1)).toBe('invalid_api_key')
  })

  it('always says of no key, and of what can be no key, that it is wrong', () => {
    const keys = new WrongKeys()
    for (const credential of [
      null,
      'null',
      "' OR 1=1--",
      'Ω'.repeat(40),
      '<script>alert(1)</script>',
      '9'.repeat(90),
      '../../../../etc/hosts',
    ])
      for (let i = 0; i < 30; i++) expect(keys.refusal(credential, '::1', 0).status).toBe(401)
  })

  it('forgets the oldest source first', () => {
    const keys = new WrongKeys()
    codes(20, () => '10.0.0.1', keys)
    for (let i = 0; i < 10_000; i++)
      keys.refusal(guess(i), `11.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, 0)
    expect(keys.refusal(guess(1), '10.0.0.1', 0).status).toBe(401)
  })
})
