import type { RateRow } from './rates-of.ts'

/** What the snapshot's source leaves out. `context` and `maxOutput` in tokens. */
export type SupplementRow = {
  readonly rates: RateRow
  readonly context: number
  readonly maxOutput: number
}

/** Embedding models. Source: developers.openai.com/api/docs/models/text-embedding-3-large and openrouter.ai/openai/text-embedding-ada-002 (read 2026-11-21). */
const EMBEDDINGS: Readonly<Record<string, SupplementRow>> = {
  'text-embedding-3-small': { rates: [0.02, 0, 0, 0], context: 8_192, maxOutput: 0 },
  'text-embedding-3-large': { rates: [0.13, 0, 0, 0], context: 8_192, maxOutput: 0 },
  'text-embedding-ada-002': { rates: [0.1, 0, 0, 0], context: 8_192, maxOutput: 0 },
}

export const SUPPLEMENT: Readonly<Record<string, Readonly<Record<string, SupplementRow>>>> = {
  openai: EMBEDDINGS,
  azure_openai: EMBEDDINGS,
}
