import { expect, it } from 'vitest'
import { mergeTargets } from './merged-targets.ts'
import type { SentTarget } from './messages.ts'

const FINE: SentTarget = {
  target: 'a/b',
  state: 'healthy',
  circuit: 'closed',
  setAsideForMs: null,
  latencyMs: null,
  failureShare: 0,
  consecutiveFailures: 0,
  inFlight: 1,
}

it('tells the worst of each target, in its own time, and adds up the calls under way', () => {
  const merged = mergeTargets(
    [
      { ...FINE, state: 'degraded', circuit: 'half_open', latencyMs: 20, failureShare: 0.4 },
      { ...FINE, circuit: 'open', setAsideForMs: 500, consecutiveFailures: 3, inFlight: 4 },
      { ...FINE, target: 'c/d' },
    ],
    1000,
  )
  expect([...merged.values()]).toEqual([
    {
      target: 'a/b',
      state: 'degraded',
      circuit: 'open',
      setAsideUntilMs: 1500,
      latencyMs: 20,
      failureShare: 0.4,
      consecutiveFailures: 3,
      inFlight: 5,
    },
    expect.objectContaining({ target: 'c/d', state: 'healthy', setAsideUntilMs: null }),
  ])
})
