import { describe, expect, it, vi } from 'vitest'
import type { GatewayEvent } from '../contracts/event.ts'
import { type CountedRecord, factsOf } from '../contracts/record-facts.ts'
import { UnreadRecord } from '../contracts/unread-record.ts'
import type { UsageRecord } from '../contracts/usage-record.ts'
import { usageRecord } from '../testing/usage-record.ts'
import { createEventBus } from './event-bus.ts'
import { createRecordIntake } from './record-intake.ts'
import { requestEventSink } from './request-events.ts'

function unread(record: UsageRecord): UnreadRecord {
  const parts = { text: JSON.stringify(record), facts: JSON.stringify(factsOf(record)) }
  const hasFailed = record.errorClass !== null
  return new UnreadRecord(parts, { wasSent: record.attempts.length > 0, hasFailed })
}

function broken(): void {
  throw new Error('broken sink')
}

const RECORDS = [
  usageRecord({ id: 'rec_1' }),
  usageRecord({ id: 'rec_2', errorClass: 'cancelled' }),
]

describe('record intake', () => {
  it('hands the text to the ledger, unread, and passes on what the ledger says', async () => {
    const taken: unknown[] = []
    const records = RECORDS.map(unread)
    const intake = createRecordIntake({
      ledger: {
        append(record) {
          taken.push(record)
          return record === records[1] ? Promise.reject(new Error('full')) : Promise.resolve()
        },
      },
      events: createEventBus({ wallMs: () => 0 }),
      sinks: [],
      onSinkError: () => {},
    })
    const parse = vi.spyOn(JSON, 'parse')
    const outcomes = await Promise.allSettled(records.map((record) => intake.take(record)))
    expect(parse).not.toHaveBeenCalled()
    parse.mockRestore()
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    expect(taken).toEqual(records)
  })

  it('counts each record once, at the latest when somebody asks; a broken sink hurts no other', async () => {
    const counted: CountedRecord[] = []
    const onSinkError = vi.fn<(thrown: unknown) => void>()
    const intake = createRecordIntake({
      ledger: null,
      events: createEventBus({ wallMs: () => 0 }),
      sinks: [broken, (record) => counted.push(record)],
      onSinkError,
    })
    await Promise.all(RECORDS.map((record) => intake.take(unread(record))))
    expect(counted).toEqual([])
    intake.count()
    intake.count()
    expect(counted.map(({ errorClass }) => errorClass)).toEqual([null, 'cancelled'])
    expect(onSinkError).toHaveBeenCalledTimes(2)
    for (let i = 0; i < 500; i++) void intake.take(unread(usageRecord()))
    expect(counted).toHaveLength(502)
  })

  it('tells the same events as one process, to who listens and to who comes later', () => {
    const events = createEventBus({ wallMs: () => 7 })
    const live: GatewayEvent[] = []
    events.subscribe(null, (event) => live.push({ ...event, data: event.data }))
    const intake = createRecordIntake({ ledger: null, events, sinks: [], onSinkError: () => {} })
    for (const record of RECORDS) void intake.take(unread(record))
    const later: GatewayEvent[] = []
    events.subscribe(0, (event) => later.push({ ...event, data: event.data }))

    const own = createEventBus({ wallMs: () => 7 })
    const expected: GatewayEvent[] = []
    own.subscribe(null, (event) => expected.push(event))
    for (const record of RECORDS) requestEventSink(own)(record)
    expect(live).toEqual(expected)
    expect(later).toEqual(expected)
  })
})
