import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hashKeySecret, newKeySecret, newPublicId } from './virtual-key.ts'

describe('hashKeySecret', () => {
  it('is HMAC-SHA-256, for keys and secrets of every length', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), fc.string({ maxLength: 200 }), (key, secret) => {
        const expected = createHmac('sha256', Buffer.from(key)).update(secret).digest('hex')
        expect(hashKeySecret(key, secret)).toBe(expected)
      }),
    )
  })
})

describe('new keys', () => {
  it('have the same length and alphabet, and never repeat', () => {
    const keys = Array.from({ length: 1000 }, () => newKeySecret())
    expect(new Set(keys).size).toBe(1000)
    for (const key of keys) expect(key).toMatch(/^tkn_[0-9A-Za-z]{43}$/)
    expect(newPublicId('key_')).toMatch(/^key_[0-9A-Za-z]{16}$/)
  })
})
