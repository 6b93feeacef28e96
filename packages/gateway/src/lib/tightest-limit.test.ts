import { describe, expect, it } from 'vitest'
import { remainingOf, tightestLimit } from './tightest-limit.ts'

const state = (unit: string, amount: number, used: number, reserved = 0) => ({
  limit: { unit },
  amount,
  used,
  reserved,
})

describe('tightestLimit', () => {
  it('takes the limit with the least left, reservations included', () => {
    const roomy = state('requests', 100, 10)
    const held = state('requests', 100, 0, 95)
    expect(tightestLimit([roomy, held, state('tokens', 1, 1)], 'requests')).toBe(held)
  })

  it('prefers the smaller limit when equally much is left', () => {
    const large = state('tokens', 1000, 990)
    const small = state('input_tokens', 20, 10)
    expect(tightestLimit([large, small], 'tokens')).toBe(small)
    expect(tightestLimit([small, large], 'tokens')).toBe(small)
  })

  it('is null when no limit has the unit', () => {
    expect(tightestLimit([state('usd', 1, 0)], 'requests')).toBeNull()
  })
})

describe('remainingOf', () => {
  it('never goes below zero in debt', () => {
    expect(remainingOf(state('tokens', 10, 25))).toBe(0)
  })
})
