import { describe, expect, it } from 'vitest'
import type { EventBus } from '../contracts/event.ts'
import { usageRecord } from '../testing/usage-record.ts'
import { createEventBus } from './event-bus.ts'
import { requestEventSink } from './request-events.ts'

const CLOCK = { wallMs: (): number => 5 }

function heard(bus: EventBus, afterId: number | null): { ids: number[]; stop: () => void } {
  const ids: number[] = []
  return { ids, stop: bus.subscribe(afterId, (event) => ids.push(event.id)) }
}

describe('event bus', () => {
  it('numbers events from one and delivers until unsubscribed', () => {
    const bus = createEventBus(CLOCK)
    const { ids, stop } = heard(bus, null)
    bus.emit('heartbeat', {})
    bus.emit('heartbeat', {})
    stop()
    bus.emit('heartbeat', {})
    expect(ids).toEqual([1, 2])
  })

  it('replays what came after an id, then goes on live', () => {
    const bus = createEventBus(CLOCK)
    for (let i = 0; i < 4; i++) bus.emit('heartbeat', {})
    const { ids } = heard(bus, 2)
    bus.emit('heartbeat', {})
    expect(ids).toEqual([3, 4, 5])
    expect(heard(bus, null).ids).toEqual([])
  })

  it('keeps the last thousand', () => {
    const bus = createEventBus(CLOCK)
    for (let i = 0; i < 2500; i++) bus.emit('heartbeat', {})
    const { ids } = heard(bus, 0)
    expect(ids).toHaveLength(1000)
    expect([ids[0], ids.at(-1)]).toEqual([1501, 2500])
  })

  it('replays everything kept for an id from before a restart', () => {
    const bus = createEventBus(CLOCK)
    bus.emit('server.start', {})
    expect(heard(bus, 900).ids).toEqual([1])
  })

  it('drops a listener that throws and still tells the others', () => {
    const bus = createEventBus(CLOCK)
    let calls = 0
    bus.subscribe(null, () => {
      calls++
      throw new Error('listener')
    })
    const { ids } = heard(bus, null)
    bus.emit('heartbeat', {})
    bus.emit('heartbeat', {})
    expect(calls).toBe(1)
    expect(ids).toEqual([1, 2])
  })

  it('says of a request whether it completed or failed, without address or user agent', () => {
    const bus = createEventBus(CLOCK)
    const events: unknown[] = []
    bus.subscribe(null, (event) => events.push(event))
    const sink = requestEventSink(bus)
    sink(usageRecord({ requestId: 'req_1', clientIp: '10.9.8.7', userAgent: 'spy/1' }))
    sink(usageRecord({ errorClass: 'cancelled', status: 499 }))
    expect(events).toMatchObject([
      { type: 'request.completed', atMs: 5, data: { request_id: 'req_1', cost_nanousd: 27_000 } },
      { type: 'request.failed', data: { status: 499, error_class: 'cancelled' } },
    ])
    expect(JSON.stringify(events)).not.toMatch(/10\.9\.8\.7|spy/)
  })
})
