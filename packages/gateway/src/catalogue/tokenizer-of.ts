import type { TokenizerId } from '../contracts/tokenizer.ts'

/**
 * Vocabularies by model family. Sources: tiktoken's model table and gpt-tokenizer 4.0.0 `models` (read 2026-11-21).
 * gpt-oss uses o200k_harmony, which splits ordinary text like o200k_base.
 */
const FAMILIES: readonly (readonly [RegExp, TokenizerId])[] = [
  [/^(?:gpt-4o|chatgpt-4o|gpt-4\.1|gpt-4\.5|gpt-5|gpt-oss)(?![a-z])/, 'o200k_base'],
  [/^o[134](?:-|$)/, 'o200k_base'],
  [/^gpt-4(?:-|$)/, 'cl100k_base'],
  [/^gpt-3\.5-turbo(?:-|$)/, 'cl100k_base'],
  [/^text-embedding-(?:3-small|3-large|ada-002)$/, 'cl100k_base'],
]

/** The exact public tokenizer of a model, by its name without a vendor's prefix; null when there is none. */
export function tokenizerOf(model: string): TokenizerId | null {
  const name = model.slice(model.lastIndexOf('/') + 1)
  for (const [pattern, tokenizer] of FAMILIES) {
    if (pattern.test(name)) return tokenizer
  }
  return null
}
