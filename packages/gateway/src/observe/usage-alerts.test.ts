import { expect, it } from 'vitest'
import { VirtualClock } from '../testing/virtual-clock.ts'
import { usageAlerts } from './usage-alerts.ts'

it('tells of each target once a minute', () => {
  const clock = new VirtualClock()
  const seen: string[] = []
  const note = usageAlerts(({ target }) => void seen.push(target), clock)
  const tell = (target: string): void => note({ provider: 'p', model: 'm', target })
  for (const target of ['a', 'a', 'b']) tell(target)
  clock.advance(59_999)
  tell('a')
  clock.advance(1)
  for (const target of ['a', 'b', 'b']) tell(target)
  expect(seen).toEqual(['a', 'b', 'a', 'b'])
})
