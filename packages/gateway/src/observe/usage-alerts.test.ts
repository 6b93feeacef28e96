import { describe, expect, it } from 'vitest'
import type { GatewayEvent } from '../contracts/event.ts'
import { usageRecord } from '../testing/usage-record.ts'
import { VirtualClock } from '../testing/virtual-clock.ts'
import { createEventBus } from './event-bus.ts'
import { usageAlertSink } from './usage-alerts.ts'

const attempt = (
  target: string,
): { readonly attempts: ReturnType<typeof usageRecord>['attempts'] } => ({
  attempts: [{ target, status: 200, errorClass: null, durationMs: 1 }],
})

describe('usageAlertSink', () => {
  it('tells of each target whose usage had to be estimated, once a minute', () => {
    const clock = new VirtualClock()
    const bus = createEventBus(clock)
    const seen: GatewayEvent[] = []
    bus.subscribe(null, (event) => void seen.push(event))
    const sink = usageAlertSink(bus, clock)
    const tell = (target: string, estimated = true, complete = true): void =>
      sink(usageRecord({ ...attempt(target), estimated, complete, provider: 'p', model: 'm' }))
    tell('a')
    tell('a')
    tell('b')
    tell('c', false)
    tell('c', true, false)
    clock.advance(60_000)
    tell('a')
    expect(seen.map(({ type, data }) => [type, data])).toEqual(
      ['a', 'b', 'a'].map((target) => ['usage.estimated', { provider: 'p', model: 'm', target }]),
    )
  })
})
