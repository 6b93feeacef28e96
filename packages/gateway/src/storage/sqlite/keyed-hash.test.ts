import { createHmac, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { keyedHash } from './keyed-hash.ts'

function expected(key: string, before: Uint8Array, text: string): string {
  return createHmac('sha256', key).update(before).update(text).digest('hex')
}

describe('keyed hash', () => {
  it('is HMAC-SHA-256, for keys and texts of any length and script', () => {
    for (const key of ['', 'k', 'k'.repeat(64), 'k'.repeat(65), 'ключ'.repeat(40)]) {
      const keyed = keyedHash(key)
      for (const text of ['', '{}', 'é'.repeat(4000), '\u{1f600}'.repeat(9000), 'x'.repeat(50)]) {
        for (const before of [new Uint8Array(0), randomBytes(32), randomBytes(7)]) {
          expect(keyed(before, text).toString('hex')).toBe(expected(key, before, text))
        }
      }
    }
  })

  it('keeps what it gave when it is called again', () => {
    const keyed = keyedHash('key')
    const first = keyed(new Uint8Array(0), 'one')
    keyed(first, 'two')
    expect(first.toString('hex')).toBe(expected('key', new Uint8Array(0), 'one'))
  })
})
