import { countedOf, type CountedRecord, type RecordFacts } from './record-facts.ts'
import type { UsageRecord } from './usage-record.ts'

/** A record of another process, which wrote it as text. Parsed only where somebody wants what is in it. */
export class UnreadRecord {
  /** The record as JSON. */
  readonly text: string
  /** Its `RecordFacts` as JSON. */
  readonly facts: string
  /** A provider was called, so that money may be spent. */
  readonly wasSent: boolean
  readonly hasFailed: boolean

  constructor(
    { text, facts }: { readonly text: string; readonly facts: string },
    { wasSent, hasFailed }: { readonly wasSent: boolean; readonly hasFailed: boolean },
  ) {
    this.text = text
    this.facts = facts
    this.wasSent = wasSent
    this.hasFailed = hasFailed
  }

  read(): UsageRecord {
    const record: UsageRecord = JSON.parse(this.text)
    return record
  }

  counted(): CountedRecord {
    const facts: RecordFacts = JSON.parse(this.facts)
    return countedOf(facts)
  }
}
