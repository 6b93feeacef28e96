import { describe, expect, it, vi } from 'vitest'
import type { KeyRecord } from '../contracts/key.ts'
import { hashKeySecret } from '../lib/virtual-key.ts'
import { configKeyRecords } from './config-keys.ts'
import { KeyRing } from './key-ring.ts'
import { testConfig, testKey, testPlan } from './testing/plan-fixtures.ts'

const HASH_KEY = 'current'
const NOW = 1_000_000

function recordOf(secret: string, over: Partial<KeyRecord> = {}, hashKey = HASH_KEY): KeyRecord {
  return testKey({ hash: hashKeySecret(hashKey, secret), ...over })
}

function ringOf(...records: KeyRecord[]): KeyRing {
  const ring = new KeyRing({ hashKeys: [HASH_KEY, 'previous'], plan: testPlan({}) })
  ring.replaceAll(records)
  return ring
}

describe('KeyRing', () => {
  it('finds a key by its secret only', () => {
    const ring = ringOf(recordOf('one'))
    expect(ring.find('one', NOW)?.record.id).toBe('key_1')
    expect(ring.find('two', NOW)).toBeNull()
    expect(ring.find('', NOW)).toBeNull()
    expect(ring.find(recordOf('one').hash, NOW)).toBeNull()
  })

  it.each<[string, Partial<KeyRecord>]>([
    ['disabled', { enabled: false }],
    ['revoked', { revokedAtMs: 1 }],
    ['expired', { expiresAtMs: NOW }],
  ])('does not tell %s from unknown', (_name, over) => {
    expect(ringOf(recordOf('one', over)).find('one', NOW)).toBeNull()
  })

  it('expires on the millisecond', () => {
    expect(ringOf(recordOf('one', { expiresAtMs: NOW + 1 })).find('one', NOW)).not.toBeNull()
  })

  it('accepts keys of a previous hash key', () => {
    expect(ringOf(recordOf('one', {}, 'previous')).find('one', NOW)).not.toBeNull()
    expect(ringOf(recordOf('one', {}, 'never')).find('one', NOW)).toBeNull()
  })

  it('accepts the secret before a rotation for its grace only', () => {
    const ring = ringOf(
      recordOf('new', {
        previousHash: hashKeySecret(HASH_KEY, 'old'),
        previousHashUntilMs: NOW + 1,
      }),
    )
    expect(ring.find('old', NOW)?.record.id).toBe('key_1')
    expect(ring.find('old', NOW + 1)).toBeNull()
    expect(ring.find('new', NOW + 1)).not.toBeNull()
  })

  it('counts a change on the next request', () => {
    const ring = ringOf(recordOf('one'))
    expect(ring.find('one', NOW)?.policy.maxOutputTokens).toBeNull()
    ring.put(recordOf('one', { policy: { max_output_tokens: 7 } }))
    expect(ring.find('one', NOW)?.policy.maxOutputTokens).toBe(7)
    ring.put(recordOf('rotated'))
    expect(ring.find('one', NOW)).toBeNull()
    ring.remove('key_1')
    expect(ring.find('rotated', NOW)).toBeNull()
    expect(ring.list()).toEqual([])
  })

  it('compiles once per plan', () => {
    const ring = ringOf(recordOf('one'))
    const first = ring.find('one', NOW)
    expect(ring.find('one', NOW)).toBe(first)
    ring.usePlan(testPlan({ policy: { max_output_tokens: 3 } }))
    expect(ring.find('one', NOW)?.policy.maxOutputTokens).toBe(3)
  })

  it('refuses a key whose policy cannot be compiled, and says so once', () => {
    const onProblem = vi.fn<(record: KeyRecord, problem: Error) => void>()
    const ring = new KeyRing({ hashKeys: [HASH_KEY], plan: testPlan({}), onProblem })
    ring.put(recordOf('one', { policies: ['gone'] }))
    expect([ring.find('one', NOW), ring.find('one', NOW)]).toEqual([null, null])
    expect(onProblem).toHaveBeenCalledTimes(1)
    expect(onProblem.mock.calls[0]?.[1].message).toContain('no policy "gone"')
  })

  it('collects when keys were used', () => {
    const ring = ringOf(recordOf('one'))
    ring.find('one', NOW)
    ring.find('one', NOW + 5)
    ring.find('two', NOW)
    expect(ring.takeTouched()).toEqual([{ id: 'key_1', atMs: NOW + 5 }])
    expect(ring.takeTouched()).toEqual([])
  })
})

describe('configKeyRecords', () => {
  it('gives keys of the file an id that stays when the secret changes', () => {
    const [one] = fromConfig('a'.repeat(64))
    const [two] = fromConfig('b'.repeat(64))
    expect(one).toMatchObject({
      name: 'ci',
      createdBy: 'config',
      expiresAtMs: Date.UTC(2030, 0, 1),
    })
    expect(one?.id).toMatch(/^key_[0-9a-f]{16}$/)
    expect(two?.id).toBe(one?.id)
  })
})

function fromConfig(hash: string): readonly KeyRecord[] {
  const key = { name: 'ci', hash, subject: { team: 't' }, expires: '2030-01-01T00:00:00Z' }
  return configKeyRecords(testConfig({ virtual_keys: [key] }))
}
