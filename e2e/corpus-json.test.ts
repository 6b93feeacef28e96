import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import {
  CLIENT_CALLS,
  CLIENT_IDS,
  type ClientId,
} from '../packages/gateway/src/testing/client-calls.ts'
import {
  ask,
  type Harness,
  leftovers,
  NOTHING_LEFT,
  startHarness,
} from '../packages/gateway/src/testing/data-plane-harness.ts'
import {
  type ScriptedUpstream,
  startScriptedUpstream,
  wholeAnswer,
} from '../packages/gateway/src/testing/scripted-upstream.ts'

const SUITE = new URL('./corpora/json/JSONTestSuite/test_parsing/', import.meta.url)
const files = readdirSync(SUITE).toSorted()

type Repeated = {
  readonly prefix: string
  readonly repeat: string
  readonly times: number
  readonly suffix: string
}
type Case = {
  readonly id: string
  readonly raw: string | Repeated | { readonly b64: string }
  readonly expect: number | string
}
const bodies: { readonly cases: readonly Case[] } = JSON.parse(
  readFileSync(new URL('./corpora/json/llm-body-cases.json', import.meta.url), 'utf8'),
)

/** What `y_`, `n_` and `i_` files may come to. */
const STATUSES: Readonly<Record<string, readonly number[]>> = { y: [200], n: [400], i: [200, 400] }
const NUMBERS = [
  '0',
  '-1',
  '1.5',
  '1e308',
  '1e999',
  '9007199254740993',
  '"100"',
  'true',
  'NaN',
  '0x10',
  '+1',
]
const HI = '"contents":[{"parts":[{"text":"hi"}]}]'

function capped(cap: (number: string) => string): readonly string[] {
  return NUMBERS.map(cap)
}

/** Bodies made to get around a gateway, in the words of each protocol. */
const HOSTILE: Readonly<Record<ClientId, readonly string[]>> = {
  'openai-chat': [],
  'openai-responses': [
    ...capped((number) => `{"model":"m","max_output_tokens":${number},"input":"hi"}`),
    '{"model":"m","model":"n","input":"hi"}',
    '{"model":"m","Model":"n","input":"hi"}',
    '{"model":"m","input":"hi","input":"ho"}',
    '{"model":"m","input":"hi","Instructions":"x"}',
    '{"model":"m","stream":"true","input":"hi"}',
    '{"model":"m","input":"hi"} {}',
    '{"model":"m",/*x*/"input":"hi"}',
    '{"input":"hi"}',
  ],
  'anthropic-messages': [
    ...capped(
      (number) =>
        `{"model":"m","max_tokens":${number},"messages":[{"role":"user","content":"hi"}]}`,
    ),
    '{"model":"m","model":"n","max_tokens":1,"messages":[{"role":"user","content":"hi"}]}',
    '{"model":"m","max_tokens":1,"System":"x","messages":[{"role":"user","content":"hi"}]}',
    '{"model":"m","max_tokens":1,"messages":[{"role":"root","content":"hi"}]}',
  ],
  gemini: [
    ...capped((number) => `{"generationConfig":{"maxOutputTokens":${number}},${HI}}`),
    ...capped((number) => `{"generation_config":{"max_output_tokens":${number}},${HI}}`),
    `{"generationConfig":{"maxOutputTokens":1,"max_output_tokens":2},${HI}}`,
    `{"generationConfig":{"maxOutputTokens":1,"maxOutputTokens":2},${HI}}`,
    `{"generationConfig":{"maxOutputTokens":1},"generation_config":{"maxOutputTokens":2},${HI}}`,
    `{"generationConfig":{"candidateCount":1000},${HI}}`,
    `{"systemInstruction":{"parts":[]},"system_instruction":{"parts":[]},${HI}}`,
    `{${HI},${HI}}`,
    `{"model":"models/other",${HI}}`,
    `{${HI}} {}`,
    '{"contents":[]}',
  ],
}

let upstream: ScriptedUpstream
let harness: Harness
const scores = new Map<string, number>()
const score = (name: string): void => void scores.set(name, (scores.get(name) ?? 0) + 1)

beforeAll(async () => {
  upstream = await startScriptedUpstream(({ received, socket }) => {
    const client = CLIENT_IDS.find((id) => received.head.includes(` ${CLIENT_CALLS[id].path} `))
    socket.write(wholeAnswer(200, CLIENT_CALLS[client ?? 'openai-chat'].answer))
  })
  // Without a limit on tokens nothing is added to a body.
  const config = { policy: { default_provider: 'up' } }
  const provider = { protocol: [...CLIENT_IDS] }
  harness = await startHarness({ upstreamUrl: upstream.url, provider, config })
})
afterAll(async () => {
  const groups = [...scores].map(([name, count]) => `${name} ${count}`)
  process.stdout.write(`json: ${groups.join(', ')}\n`)
  await harness.close()
  await upstream.close()
})

async function forwarded(
  body: Buffer,
  path?: string,
): Promise<{ status: number; upstream: Buffer | null }> {
  upstream.exchanges.length = 0
  const answer = await ask(harness, path === undefined ? { body } : { body, path })
  return { status: answer.status, upstream: upstream.exchanges[0]?.received.body ?? null }
}

const around = (text: Buffer, client: ClientId = 'openai-chat'): Buffer =>
  Buffer.concat([
    Buffer.from(String(CLIENT_CALLS[client].whole.body).replace(/\}$/, ',"x":')),
    text,
    Buffer.from('}'),
  ])

/** Valid JSON, but two readers may take two values of it. */
const DUPLICATES = new Set([
  'y_object_duplicated_key.json',
  'y_object_duplicated_key_and_value.json',
])

describe('JSONTestSuite', () => {
  it.each(files)('%s as a whole body is refused, and goes nowhere', async (name) => {
    const result = await forwarded(readFileSync(new URL(encodeURIComponent(name), SUITE)))
    expect(result).toEqual({ status: 400, upstream: null })
    score('refused as a body')
  })

  it.each(files.filter((name) => name.startsWith('y_')))(
    '%s inside a body arrives',
    async (name) => {
      const body = around(readFileSync(new URL(encodeURIComponent(name), SUITE)))
      const wanted = DUPLICATES.has(name) ? null : body
      const result = await forwarded(body)
      expect(result.status).toBe(wanted === null ? 400 : 200)
      expect(result.upstream).toEqual(wanted)
      score('y_ as expected')
    },
  )

  it.each(files.filter((name) => name.startsWith('n_')))(
    '%s inside a body is refused',
    async (name) => {
      const result = await forwarded(around(readFileSync(new URL(encodeURIComponent(name), SUITE))))
      expect(result).toEqual({ status: 400, upstream: null })
      score('n_ as expected')
    },
  )

  it.each(files.filter((name) => name.startsWith('i_')))(
    '%s inside a body is one or the other',
    async (name) => {
      const body = around(readFileSync(new URL(encodeURIComponent(name), SUITE)))
      const result = await forwarded(body)
      expect([200, 400]).toContain(result.status)
      expect(result.upstream).toEqual(result.status === 200 ? body : null)
      score(result.status === 200 ? 'i_ forwarded' : 'i_ refused')
    },
  )
})

describe.each(CLIENT_IDS.filter((id) => id !== 'openai-chat'))('JSONTestSuite on %s', (client) => {
  const { path } = CLIENT_CALLS[client]

  it.each(files)('%s is refused, or arrives as it is', async (name) => {
    const text = readFileSync(new URL(encodeURIComponent(name), SUITE))
    expect(await forwarded(text, path)).toEqual({ status: 400, upstream: null })
    const body = around(text, client)
    const result = await forwarded(body, path)
    const kind = DUPLICATES.has(name) ? 'n' : name[0]
    expect(STATUSES[kind ?? '']).toContain(result.status)
    expect(result.upstream).toEqual(result.status === 200 ? body : null)
    score(`${client} as expected`)
  })

  it.each(HOSTILE[client])('%s is refused', async (body) => {
    expect(await forwarded(Buffer.from(body), path)).toEqual({ status: 400, upstream: null })
    score(`${client} bodies as expected`)
  })
})

function bytesOf(raw: Case['raw'], numbered: boolean): Buffer {
  if (typeof raw === 'string') return Buffer.from(raw)
  if ('b64' in raw) return Buffer.from(raw.b64, 'base64')
  const one = (i: number): string => (numbered ? raw.repeat.replace('N', String(i)) : raw.repeat)
  const middle = Array.from({ length: raw.times }, (_, i) => one(i)).join('')
  return Buffer.from(raw.prefix + middle + raw.suffix)
}

const HOSTS = /"(?:api_base|base_url|extra_headers|extra_body)"/

describe('bodies made to get around a gateway', () => {
  it.each(bodies.cases)('$id: $expect', async ({ id, raw, expect: expected }) => {
    const path = id.startsWith('anthropic') ? '/v1/messages' : undefined
    for (const body of [bytesOf(raw, false), bytesOf(raw, true)]) {
      const result = await forwarded(body, path)
      const allowed = String(expected).match(/\d{3}/g) ?? []
      expect(allowed).toContain(String(result.status))
      expect(result.upstream === null).toBe(result.status !== 200)
      expect(HOSTS.test(result.upstream?.toString() ?? '')).toBe(false)
    }
    score('gateway bodies as expected')
  })

  it('of all of them nothing is left', async () => {
    await vi.waitFor(() => expect(leftovers(harness)).toEqual(NOTHING_LEFT))
  })
})
