import type { TokenCounter } from '../../contracts/tokenizer.ts'
import { splitLongRuns } from '../../lib/split-long-runs.ts'
import type { Ask } from './ask.ts'

/**
 * What a message costs beyond its text, and what the answer's opening costs.
 * Source: OpenAI Cookbook, "How to count tokens with tiktoken" (from knowledge), without its one token per role.
 */
const TOKENS_PER_MESSAGE = 3
const TOKENS_PER_REPLY = 3
/** OpenAI's price of a low-detail image. Source: platform.openai.com/docs/guides/images-vision, from knowledge. */
const TOKENS_PER_IMAGE = 85
const MAX_REMEMBERED = 4_096
/** Longer texts are not remembered. UTF-16 units. */
const MAX_REMEMBERED_LENGTH = 100_000

export type CountTexts = (texts: readonly string[]) => number | Promise<number>

/** Input tokens of a request: a promise only until the vocabulary is loaded. */
export function countInput(count: CountTexts, ask: Ask): number | Promise<number> {
  const fixed =
    ask.messageCount * TOKENS_PER_MESSAGE + TOKENS_PER_REPLY + ask.imageCount * TOKENS_PER_IMAGE
  const counted = count(ask.texts)
  return typeof counted === 'number' ? counted + fixed : counted.then((tokens) => tokens + fixed)
}

export function countWith(counter: TokenCounter): CountTexts {
  return (texts) => counter.count('o200k_base', texts)
}

/** A counter of the sandbox's own, for when it runs alone. The vocabulary is loaded on first use. */
export function createOwnCounter(): CountTexts {
  let countText: ((text: string) => number) | null = null
  const remembered = new Map<string, number>()

  function countOne(text: string): number {
    const known = remembered.get(text)
    if (known !== undefined) return known
    const tokens = splitLongRuns(text).reduce((sum, run) => sum + (countText?.(run) ?? 0), 0)
    if (remembered.size >= MAX_REMEMBERED) remembered.clear()
    if (text.length <= MAX_REMEMBERED_LENGTH) remembered.set(text, tokens)
    return tokens
  }

  const countAll = (texts: readonly string[]): number =>
    texts.reduce((sum, text) => sum + countOne(text), 0)

  return (texts) => {
    if (countText !== null) return countAll(texts)
    return loadVocabulary().then((loaded) => {
      countText = loaded
      return countAll(texts)
    })
  }
}

/** Without the package (a slim install) words stand in for tokens: the bill stays deterministic. */
async function loadVocabulary(): Promise<(text: string) => number> {
  try {
    const { countTokens } = await import('gpt-tokenizer/encoding/o200k_base')
    const options = { disallowedSpecial: new Set<string>() }
    return (text) => countTokens(text, options)
  } catch {
    return (text) => text.match(/\S+/g)?.length ?? 0
  }
}
