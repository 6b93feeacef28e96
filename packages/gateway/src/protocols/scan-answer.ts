import type { Span } from '../contracts/envelope.ts'
import { type JsonScan, JsonScanError, scanJsonObject } from '../lib/json-scan.ts'

/** Answers may nest deeper than requests: tool inputs and log probabilities. */
const MAX_ANSWER_DEPTH = 512

/** Scans a provider's whole answer; null when it is not one JSON object. */
export function scanAnswer(body: Buffer): JsonScan | null {
  try {
    return scanJsonObject(body, {
      maxDepth: MAX_ANSWER_DEPTH,
      refuseDuplicateKeys: false,
      watch: null,
    })
  } catch (thrown) {
    if (thrown instanceof JsonScanError) return null
    throw thrown
  }
}

/** The value of a member; null when it is absent. */
export function answerMember(body: Buffer, scan: JsonScan, name: string): unknown {
  const span: Span | undefined = scan.members.get(name)
  return span === undefined ? null : JSON.parse(body.toString('utf8', span.start, span.end))
}
