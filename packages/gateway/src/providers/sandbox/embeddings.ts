import { hash } from './answer.ts'
import { BadAsk } from './ask.ts'
import { readInteger, readText } from './read-fields.ts'

const DEFAULT_DIMENSIONS = 256

/** An embeddings request, checked. `texts` are counted; arrays of token ids count as they are. */
export type EmbeddingsAsk = {
  readonly model: string
  readonly texts: readonly string[]
  /** Token ids given instead of text, per input. */
  readonly tokenCounts: readonly number[]
  readonly dimensions: number
  readonly base64: boolean
}

export function readEmbeddings(body: Record<string, unknown>): EmbeddingsAsk {
  const inputs = readInputs(body['input'])
  const format = body['encoding_format']
  return {
    model: readText(body, 'model'),
    texts: inputs.filter((input) => typeof input === 'string'),
    tokenCounts: inputs.filter((input) => typeof input === 'number'),
    dimensions: readInteger(body, 'dimensions', 1, 4_096) ?? DEFAULT_DIMENSIONS,
    base64: format === 'base64',
  }
}

/** A text per input, or the number of its token ids. */
function readInputs(input: unknown): readonly (string | number)[] {
  if (typeof input === 'string' && input !== '') return [input]
  if (!Array.isArray(input) || input.length === 0) {
    throw new BadAsk("Missing required parameter: 'input'.", 'input')
  }
  if (input.every((entry) => typeof entry === 'number')) return [input.length]
  return input.map((entry: unknown) => {
    if (typeof entry === 'string' && entry !== '') return entry
    if (Array.isArray(entry) && entry.length > 0) return entry.length
    throw new BadAsk("'$.input' is invalid.", 'input')
  })
}

/** Token ids come after the texts; tests do not mix them. */
export function embeddingsBody(ask: EmbeddingsAsk, inputTokens: number): string {
  const seeds = [...ask.texts.map(hash), ...ask.tokenCounts]
  return JSON.stringify({
    object: 'list',
    data: seeds.map((seed, index) => ({
      object: 'embedding',
      index,
      embedding: ask.base64
        ? encode(vector(seed, ask.dimensions))
        : [...vector(seed, ask.dimensions)],
    })),
    model: ask.model,
    usage: { prompt_tokens: inputTokens, total_tokens: inputTokens },
  })
}

/** A unit vector that depends on the seed alone. */
function vector(seed: number, dimensions: number): Float32Array {
  const values = new Float32Array(dimensions)
  let state = seed | 1
  let squares = 0
  for (let i = 0; i < dimensions; i++) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + i
    const value = ((state >>> 8) & 0xffff) / 0x8000 - 1
    values[i] = value
    squares += value * value
  }
  const length = Math.sqrt(squares) || 1
  return values.map((value) => value / length)
}

/** The official client asks for base64: little-endian floats. */
function encode(values: Float32Array): string {
  return Buffer.from(values.buffer).toString('base64')
}
