import type { KeptAnswer } from '../contracts/answer-store.ts'
import { isRecord } from '../lib/is-record.ts'

/** All of a kept answer but its body, as text. */
export function answerHead({ status, headers, origin }: KeptAnswer): string {
  return JSON.stringify({ status, headers, origin })
}

/** `body` null: it was too large to be kept. Throws `TypeError` for what `answerHead` has not written. */
export function readAnswer(head: string, body: Buffer | null): KeptAnswer {
  const read: unknown = JSON.parse(head)
  if (!isHead(read)) throw new TypeError('a kept answer without a head')
  const { status, headers, origin } = read
  return { status, headers, origin, body }
}

function isHead(read: unknown): read is Omit<KeptAnswer, 'body'> {
  return isRecord(read) && Array.isArray(read['headers']) && isRecord(read['origin'])
}
