import { describe, expect, it } from 'vitest'
import type { Refusal } from '../../contracts/limit.ts'
import {
  bucket,
  concurrent,
  DAY,
  fixed,
  lifetime,
  limitOf,
  MINUTE,
  sliding,
} from '../../testing/gate-fixtures.ts'
import { refusalError } from './refusal-error.ts'

const NOW_MS = Date.UTC(2026, 2, 10, 10)

function refusalBy(limit: Refusal['limit'], fields: Partial<Refusal> = {}): Refusal {
  return {
    limit,
    value: 'k1',
    used: 60,
    reserved: 0,
    amount: 60,
    resetsAtMs: NOW_MS + 30_000,
    retryAfterMs: 12_345.2,
    neverFits: false,
    ...fields,
  }
}

describe('refusalError', () => {
  it('says when to come back, to the second and to the millisecond, both rounded up', () => {
    const error = refusalError(
      refusalBy(limitOf(sliding(60, MINUTE), { unit: 'requests' })),
      NOW_MS,
    )
    expect(error).toMatchObject({ code: 'rate_limit_exceeded', status: 429 })
    expect(error.details.headers).toEqual({ 'retry-after': '13', 'retry-after-ms': '12346' })
    expect(error.details.limit).toEqual({
      id: 'sliding',
      scope: 'key',
      unit: 'requests',
      used: 60,
      amount: 60,
      window: '1m',
      resets_at: '2026-03-10T10:00:30.000Z',
    })
    expect(error.message).toBe(
      'The limit "sliding" (60 requests in 1m, per key) has too little left for this request: 60 used. Try again in 13 s, at 2026-03-10T10:00:13.000Z.',
    )
  })

  it.each([
    [60_000, { 'retry-after': '60', 'retry-after-ms': '60000' }],
    [60_001, { 'retry-after': '61', 'x-should-retry': 'false' }],
    [0.4, { 'retry-after': '1', 'retry-after-ms': '1' }],
    [null, {}],
  ])('stops SDKs from sleeping long: %s ms', (retryAfterMs, headers) => {
    const error = refusalError(refusalBy(limitOf(bucket(60, 1)), { retryAfterMs }), NOW_MS)
    expect(error.details.headers).toEqual(headers)
  })

  it('shows money in dollars', () => {
    const limit = limitOf(fixed(50e9, DAY), { unit: 'usd', scope: 'team', id: 'team-day' })
    const spent = {
      used: 49_999_999_999,
      reserved: 1_500_000_000,
      amount: 50e9,
      retryAfterMs: 5_000,
    }
    const error = refusalError(refusalBy(limit, spent), NOW_MS)
    expect(error.code).toBe('budget_exceeded')
    expect(error.details.headers).toMatchObject({ 'x-should-retry': 'false', 'retry-after': '5' })
    expect(error.details.limit).toMatchObject({ used: 49.999999999, amount: 50, window: '24h' })
    expect(error.message).toContain('50 US dollars in 24h, per team')
    expect(error.message).toContain('49.999999999 used, of which requests in flight hold 1.5.')
  })

  it('has no Retry-After for what never comes back', () => {
    const fields = { retryAfterMs: null, resetsAtMs: null }
    const error = refusalError(refusalBy(limitOf(lifetime(60)), fields), NOW_MS)
    expect(error.code).toBe('budget_exceeded')
    expect(error.details.headers).toEqual({ 'x-should-retry': 'false' })
    expect(error.details.limit).toMatchObject({ window: null, resets_at: null })
    expect(error.message).toContain('It does not come back by itself')
    const held = refusalError(refusalBy(limitOf(lifetime(60)), { ...fields, reserved: 5 }), NOW_MS)
    expect(held.message).toContain('What requests in flight do not use comes back when they end.')
  })

  it('is a bad request when the request can never pass', () => {
    const fields = { neverFits: true, retryAfterMs: null }
    const error = refusalError(refusalBy(limitOf(bucket(60, 2.5)), fields), NOW_MS)
    expect(error).toMatchObject({ code: 'request_exceeds_limit', status: 400 })
    expect(error.details.headers).toEqual({})
    expect(error.message).toContain('60 tokens, refilled by 2.5 a second')
  })

  it('explains concurrency', () => {
    const limit = limitOf(concurrent(4), { unit: 'concurrent' })
    const fields = { used: 4, amount: 4, retryAfterMs: null, resetsAtMs: null }
    const error = refusalError(refusalBy(limit, fields), NOW_MS)
    expect(error.code).toBe('rate_limit_exceeded')
    expect(error.message).toBe(
      'The limit "concurrent" (4 requests at a time, per key) is reached. Try again when one of the 4 in flight has ended.',
    )
  })
})
