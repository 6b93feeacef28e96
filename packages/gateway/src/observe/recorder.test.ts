import { describe, expect, it, vi } from 'vitest'
import type { LedgerWriter } from '../contracts/store.ts'
import { usageRecord } from '../testing/usage-record.ts'
import { createRecorder } from './recorder.ts'

describe('recorder', () => {
  it('tells every sink before the ledger, also when one throws', async () => {
    const order: string[] = []
    const onSinkError = vi.fn<(thrown: unknown) => void>()
    const broken = new Error('broken sink')
    const recorder = createRecorder({
      ledger: fakeLedger(async () => void order.push('ledger')),
      sinks: [
        () => {
          throw broken
        },
        () => void order.push('sink'),
      ],
      onSinkError,
    })
    await recorder.record(usageRecord())
    expect(order).toEqual(['sink', 'ledger'])
    expect(onSinkError).toHaveBeenCalledWith(broken)
  })

  it('passes on the rejection and the health of the ledger', async () => {
    const failing = createRecorder({
      ledger: fakeLedger(() => Promise.reject(new Error('full')), false),
      sinks: [],
    })
    await expect(failing.record(usageRecord())).rejects.toThrow('full')
    expect(failing.healthy()).toBe(false)
  })

  it('is healthy and content without a ledger', async () => {
    const sink = vi.fn<(record: unknown) => void>()
    const recorder = createRecorder({ ledger: null, sinks: [sink] })
    await recorder.record(usageRecord())
    expect(sink).toHaveBeenCalledOnce()
    expect(recorder.healthy()).toBe(true)
  })
})

function fakeLedger(append: LedgerWriter['append'], healthy = true): LedgerWriter {
  return {
    append,
    countersFrom: () => {},
    pending: () => [],
    healthy: () => healthy,
    flush: async () => {},
    close: async () => {},
  }
}
