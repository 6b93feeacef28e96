import type { TokenizerId } from '../contracts/tokenizer.ts'
import { splitLongRuns } from '../lib/split-long-runs.ts'
import { boundTokens } from './bound-tokens.ts'
import { splitAtSpaces } from './split-at-spaces.ts'

/** Counts the tokens of one text; after `deadlineMs` (monotonic) the rest counts as its bytes. */
export type CountText = (text: string, deadlineMs?: number) => number

/** The library keeps merges of words it has seen; without a bound they grow with the traffic. Entries. */
const MERGE_CACHE_SIZE = 20_000
/** What looks like a control token in a client's text is text. */
const OPTIONS = { disallowedSpecial: new Set<string>() }

/** Loads a vocabulary: about 0.2 s, so only in the worker. */
export async function loadVocabulary(tokenizer: TokenizerId): Promise<CountText> {
  const encoding =
    tokenizer === 'o200k_base'
      ? await import('gpt-tokenizer/encoding/o200k_base')
      : await import('gpt-tokenizer/encoding/cl100k_base')
  encoding.setMergeCacheSize(MERGE_CACHE_SIZE)
  const countPart = (part: string): number => encoding.countTokens(part, OPTIONS)
  return (text, deadlineMs = Number.POSITIVE_INFINITY) => {
    let tokens = 0
    let late = false
    for (const chunk of splitAtSpaces(text)) {
      late ||= performance.now() > deadlineMs
      tokens += late ? boundTokens([chunk]) : countParts(chunk, countPart)
    }
    return tokens
  }
}

function countParts(chunk: string, countPart: (part: string) => number): number {
  let tokens = 0
  for (const part of splitLongRuns(chunk)) tokens += countPart(part)
  return tokens
}
