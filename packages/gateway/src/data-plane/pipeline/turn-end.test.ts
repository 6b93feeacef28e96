import { describe, expect, it } from 'vitest'
import { turnEnd } from './turn-end.ts'

describe('end of a turn', () => {
  it('comes for all at once, after what the turn still had to do, and anew for the next turn', async () => {
    const steps: string[] = []
    const two = { inFlight: 2 }
    const first = turnEnd(two)?.then(() => steps.push('first'))
    const second = turnEnd(two)?.then(() => steps.push('second'))
    await Promise.resolve().then(() => steps.push('read'))
    await Promise.all([first, second])
    expect(steps).toEqual(['read', 'first', 'second'])
    const next = turnEnd(two)
    expect(next).not.toBeNull()
    await next
  })

  it('is not waited for by a request that is alone', () => {
    expect(turnEnd({ inFlight: 1 })).toBeNull()
  })
})
