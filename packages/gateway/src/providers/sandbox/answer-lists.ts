import { isRecord } from '../../lib/is-record.ts'
import { hash } from './answer.ts'
import type { Answer } from './answer-call.ts'
import { BadAsk } from './ask.ts'
import { answerHeaders, sendJson } from './exchange.ts'
import { charge, jsonCall, type MediaCall } from './open-media-call.ts'

const CATEGORIES = ['hate', 'violence', 'self-harm', 'sexual'] as const
/** Whatever holds this word is flagged. */
const FLAGGED = 'violence'

/** Free of charge, but counted: a line without tokens. */
export const answerModeration: Answer = jsonCall('moderations', async (call) => {
  const { input } = call.body
  const inputs: readonly unknown[] = Array.isArray(input) ? input : [input]
  if (input === undefined) throw new BadAsk("Missing required parameter: 'input'.", 'input')
  const results = inputs.map((entry) => {
    const flagged = JSON.stringify(entry).includes(FLAGGED)
    const of = <T>(value: T, other: T): Record<string, T> =>
      Object.fromEntries(CATEGORIES.map((name) => [name, name === FLAGGED ? value : other]))
    return {
      flagged,
      categories: of(flagged, false),
      category_scores: of(flagged ? 0.9 : 0.1, 0),
    }
  })
  send(call, { id: `modr-${call.exchange.requestId}`, model: call.model, results })
})

/** The most alike by letters first. */
export const answerRerank: Answer = jsonCall('rerank', async (call) => {
  const { query, documents } = call.body
  if (typeof query !== 'string' || !Array.isArray(documents) || documents.length === 0) {
    throw new BadAsk('query and documents are required', 'documents')
  }
  const texts = documents.map(textOf)
  const scored = texts.map((text, index) => ({ index, relevance_score: score(query, text) }))
  const results = scored.toSorted((a, b) => b.relevance_score - a.relevance_score)
  const tokens = await call.sandbox.count(texts.flatMap((text) => [query, text]))
  const usage = charge(call, tokens, 0)
  const told = usage === null ? {} : { usage: { prompt_tokens: tokens, total_tokens: tokens } }
  send(call, { id: `rerank-${call.exchange.requestId}`, model: call.model, results, ...told })
})

function textOf(document: unknown): string {
  if (typeof document === 'string') return document
  return isRecord(document) ? String(document['text']) : ''
}

function score(query: string, text: string): number {
  const shared = [...new Set(query)].filter((char) => text.includes(char)).length
  return shared / (new Set(query).size + 1) + (hash(text) % 1000) / 1_000_000
}

function send({ exchange }: MediaCall, body: Readonly<Record<string, unknown>>): void {
  const headers = answerHeaders('openai-chat', exchange.requestId)
  sendJson(exchange.response, 200, JSON.stringify(body), headers)
}
