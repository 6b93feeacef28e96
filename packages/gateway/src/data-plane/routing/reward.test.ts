import { describe, expect, it } from 'vitest'
import type { ArmContext } from '../../contracts/routing.ts'
import { Rewards, withQuality } from './reward.ts'

const CONTEXT: ArmContext = { size: 'medium', tools: true }
const AMONG = ['cheap', 'dear']

function call(target: string, costNanoUsd: number | null, latencyMs: number, stream = false) {
  return { target, context: CONTEXT, stream, latencyMs, costNanoUsd }
}

describe('Rewards', () => {
  it('gives 0.4 for the dearest and slowest, and more for what is cheaper or quicker', () => {
    const rewards = new Rewards()
    expect(rewards.ofSuccess(call('dear', 100, 1000), AMONG)).toBeCloseTo(0.4)
    expect(rewards.ofSuccess(call('cheap', 10, 500), AMONG)).toBeCloseTo(0.4 + 0.27 + 0.15)
    expect(rewards.ofSuccess(call('cheap', 0, 0), AMONG)).toBeCloseTo(1)
  })

  it('does not take a slow answer of 30 s for one of 1 s', () => {
    const rewards = new Rewards()
    rewards.ofSuccess(call('dear', 1, 30_000), AMONG)
    const quick = rewards.ofSuccess(call('cheap', 1, 1000), AMONG)
    const slow = rewards.ofSuccess(call('cheap', 1, 30_000), AMONG)
    expect(quick - slow).toBeGreaterThan(0.25)
  })

  it('measures streams against streams', () => {
    const rewards = new Rewards()
    rewards.ofSuccess(call('dear', 1, 30_000), AMONG)
    expect(rewards.ofSuccess(call('dear', 1, 100, true), AMONG)).toBeCloseTo(0.4)
  })

  it('counts a target without a price as free', () => {
    const rewards = new Rewards()
    rewards.ofSuccess(call('dear', 100, 10), AMONG)
    expect(rewards.ofSuccess(call('cheap', null, 10), AMONG)).toBeCloseTo(0.7)
  })

  it('mixes in what a user said', () => {
    expect(withQuality(0.8, 0)).toBeCloseTo(0.4)
    expect(withQuality(0.8, 1)).toBeCloseTo(0.9)
  })
})
