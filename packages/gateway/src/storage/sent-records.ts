import type { UsageRecord } from '../contracts/usage-record.ts'

/** A provider was called, so that money may be spent. */
export function wasSent({ attempts }: UsageRecord): boolean {
  return attempts.length > 0
}

/** The client was refused its last byte, because the record could not be written at the time. */
export function notAnswered(record: UsageRecord): UsageRecord {
  if (!record.complete) return record
  const errorClass = record.errorClass ?? 'ledger_unavailable'
  return { ...record, complete: false, errorSource: record.errorSource ?? 'gateway', errorClass }
}
