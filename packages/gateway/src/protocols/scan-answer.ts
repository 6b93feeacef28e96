import type { Span } from '../contracts/envelope.ts'
import { JsonScanError, scanJsonObject } from '../lib/json-scan.ts'

const OPTIONS = { maxDepth: 64, refuseDuplicateKeys: false, watch: null } as const

/** A provider's answer or event whose members are read one by one, because it may hold megabytes of an image. */
export type ScannedAnswer = {
  has(name: string): boolean
  /** Undefined when it is absent. */
  value(name: string): unknown
}

/** Null when the bytes are not one JSON object. */
export function scanAnswer(
  bytes: Buffer,
  start = 0,
  end: number = bytes.length,
): ScannedAnswer | null {
  const members = membersOf(bytes, start, end)
  if (members === null) return null
  return {
    has: (name) => members.has(name),
    value(name) {
      const span = members.get(name)
      return span === undefined ? undefined : parse(bytes.toString('utf8', span.start, span.end))
    },
  }
}

function parse(text: string): unknown {
  return JSON.parse(text)
}

function membersOf(bytes: Buffer, start: number, end: number): ReadonlyMap<string, Span> | null {
  try {
    return scanJsonObject(bytes, OPTIONS, start, end).members
  } catch (thrown) {
    if (thrown instanceof JsonScanError) return null
    throw thrown
  }
}
