import type { Agent } from 'node:http'
import type { BillLine } from '../../packages/gateway/src/providers/sandbox/bill.ts'
import { askOf, type CallAnswer, call, seeded } from './call.ts'

/** One call of a mixed load, wholly decided by the seed. */
export type MixedCall = {
  readonly kind: string
  readonly model: string
  readonly protocol: 'openai' | 'anthropic'
  readonly stream: boolean
  readonly path: string
  readonly body: object
  readonly abortAfterBytes?: number
  readonly abortAfterMs?: number
}

type Kind = {
  readonly name: string
  readonly weight: number
  readonly model: (random: () => number) => string
  readonly stream?: boolean
  readonly tools?: boolean
  readonly thinks?: boolean
  readonly abort?: 'bytes' | 'time'
}

const below = (random: () => number, most: number): number => Math.floor(random() * most)
const TEXT = 'The quick brown fox jumps over the lazy dog; Ünïcode, 数字 and 1234567890. '

const KINDS: readonly Kind[] = [
  { name: 'words', weight: 26, model: (random) => `words-${1 + below(random, 300)}` },
  { name: 'priced', weight: 12, model: () => 'priced' },
  { name: 'priced-cached', weight: 8, model: () => 'priced-cached' },
  { name: 'cached', weight: 5, model: (random) => `cached+words-${1 + below(random, 60)}` },
  {
    name: 'reasoning',
    weight: 6,
    thinks: true,
    model: (random) => `reasoning-${1 + below(random, 40)}+words-9`,
  },
  { name: 'tools', weight: 6, tools: true, model: (random) => `tools-${1 + below(random, 4)}` },
  { name: 'no-usage', weight: 6, model: (random) => `no-usage+words-${1 + below(random, 80)}` },
  { name: 'error', weight: 8, model: (random) => `error-${ERRORS[below(random, ERRORS.length)]}` },
  { name: 'cut', weight: 4, stream: true, model: (random) => `cut-after-${below(random, 40)}` },
  { name: 'drop', weight: 3, stream: true, model: (random) => `drop-after-${below(random, 40)}` },
  {
    name: 'error-after',
    weight: 4,
    stream: true,
    model: (random) => `error-after-${1 + below(random, 40)}`,
  },
  { name: 'whole-cut', weight: 2, stream: false, model: () => 'cut-after-30' },
  { name: 'abort', weight: 7, stream: true, abort: 'bytes', model: () => 'words-400+delay-5' },
  { name: 'leave', weight: 3, abort: 'time', model: () => 'words-100+delay-5' },
]
const ERRORS = [400, 404, 429, 500, 503, 529]

/** The same calls for the same seed. */
export function mixedCalls(count: number, seed: number): readonly MixedCall[] {
  const random = seeded(seed)
  const bag = KINDS.flatMap((kind) => Array.from({ length: kind.weight }, () => kind))
  return Array.from({ length: count }, () => {
    const kind = bag[below(random, bag.length)]
    if (kind === undefined) throw new Error('no kind')
    return decide(kind, random)
  })
}

function decide(kind: Kind, random: () => number): MixedCall {
  const protocol = random() < 0.5 ? 'openai' : 'anthropic'
  const stream = kind.stream ?? random() < 0.5
  const model = kind.model(random)
  const text = TEXT.repeat(1 + below(random, random() < 0.1 ? 200 : 6))
  const { path, body } = askOf({
    protocol,
    model,
    text,
    stream,
    maxTokens: 5000,
    extra: extraOf(kind, protocol, stream && random() < 0.5),
  })
  const abort =
    kind.abort === undefined
      ? {}
      : kind.abort === 'bytes'
        ? { abortAfterBytes: 1 + below(random, 30_000) }
        : { abortAfterMs: 1 + below(random, 150) }
  return { kind: kind.name, model, protocol, stream, path, body, ...abort }
}

function extraOf(kind: Kind, protocol: string, wantsUsage: boolean): Record<string, unknown> {
  const parameters = { type: 'object', properties: { city: { type: 'string' } } }
  const tool =
    protocol === 'openai'
      ? { type: 'function', function: { name: 'weather', parameters } }
      : { name: 'weather', input_schema: parameters }
  const thinking = { type: 'enabled', budget_tokens: 1024 }
  return {
    ...(kind.tools === true ? { tools: [tool] } : {}),
    ...(kind.thinks === true && protocol === 'anthropic' ? { thinking } : {}),
    ...(wantsUsage && protocol === 'openai' ? { stream_options: { include_usage: true } } : {}),
  }
}

export function send(
  one: MixedCall,
  place: { readonly url: string; readonly key: string; readonly agent?: Agent },
): Promise<CallAnswer> {
  const { body, abortAfterBytes, abortAfterMs } = one
  return call(`${place.url}${one.path}`, {
    key: place.key,
    body,
    ...(place.agent === undefined ? {} : { agent: place.agent }),
    ...(abortAfterBytes === undefined ? {} : { abortAfterBytes }),
    ...(abortAfterMs === undefined ? {} : { abortAfterMs }),
  })
}

export type Tokens = {
  readonly input: number
  readonly output: number
  readonly cache_read: number
  readonly cache_write_5m: number
  readonly cache_write_1h: number
  readonly reasoning: number
}

export function billedTokens(line: BillLine): Tokens {
  return {
    input: line.inputTokens,
    output: line.outputTokens,
    cache_read: line.cacheReadTokens,
    cache_write_5m: line.cacheWrite5mTokens,
    cache_write_1h: line.cacheWrite1hTokens,
    reasoning: line.reasoningTokens,
  }
}
