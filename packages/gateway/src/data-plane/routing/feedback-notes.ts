import { isRecord } from '../../lib/is-record.ts'

/** What clients said of answers is kept as notes of this kind, by the id of the request. */
export const FEEDBACK_KIND = 'feedback'

/** `score`: 0 to 1. */
export type FeedbackNote = {
  readonly score: number
  readonly comment: string | null
  readonly keyId: string | null
}

/** Null for what this program did not write. */
export function parseFeedbackNote(body: string): FeedbackNote | null {
  const value: unknown = JSON.parse(body)
  if (!isRecord(value)) return null
  const { score, comment, keyId } = value
  if (typeof score !== 'number') return null
  return {
    score,
    comment: typeof comment === 'string' ? comment : null,
    keyId: typeof keyId === 'string' ? keyId : null,
  }
}
