import type { TokenizerId } from '../contracts/tokenizer.ts'
import { isRecord } from '../lib/is-record.ts'

export type CountJob = {
  readonly id: number
  readonly tokenizer: TokenizerId
  readonly texts: readonly string[]
}

/** `counts` has one number per text. */
export type CountResult = { readonly id: number; readonly counts: readonly number[] }

export function isCountJob(value: unknown): value is CountJob {
  return isRecord(value) && typeof value['id'] === 'number' && Array.isArray(value['texts'])
}

export function isCountResult(value: unknown): value is CountResult {
  return isRecord(value) && typeof value['id'] === 'number' && Array.isArray(value['counts'])
}
