import { expect, it } from 'vitest'
import { Claims } from './claims.ts'

const CALL = { id: 'a', fingerprint: 'f', owner: 'first' }
const NEXT = { id: 'a', fingerprint: 'f', owner: 'second' }

it('holds a claim for its lease, and longer while it is renewed', () => {
  let nowMs = 0
  const claims = new Claims(100, () => nowMs)
  expect(claims.take(CALL)).toBe('claimed')
  nowMs = 99
  expect(claims.take(NEXT)).toBe('running')
  expect(claims.take({ ...NEXT, fingerprint: 'g' })).toBe('other')
  expect(claims.renew(CALL)).toBe(true)
  nowMs = 198
  expect(claims.take(NEXT)).toBe('running')
  nowMs = 199
  expect(claims.take(NEXT)).toBe('claimed')
  expect(claims.renew(CALL)).toBe(false)
  claims.drop(CALL)
  expect(claims.isOf(NEXT)).toBe(true)
  expect(claims.isAnothers(CALL)).toBe(true)
})

it('is free once it was dropped', () => {
  const claims = new Claims(100)
  claims.take(CALL)
  claims.drop(CALL)
  expect(claims.take(NEXT)).toBe('claimed')
})
