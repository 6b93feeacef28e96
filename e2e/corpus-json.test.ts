import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
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

let upstream: ScriptedUpstream
let harness: Harness
const scores = new Map<string, number>()
const score = (name: string): void => void scores.set(name, (scores.get(name) ?? 0) + 1)

beforeAll(async () => {
  upstream = await startScriptedUpstream(({ received, socket }) => {
    const body = received.head.includes('/messages') ? '{"content":[]}' : '{"choices":[]}'
    socket.write(wholeAnswer(200, body))
  })
  // Without a limit on tokens nothing is added to a body.
  const policy = { default_provider: 'up' }
  harness = await startHarness({ upstreamUrl: upstream.url, config: { policy } })
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

const around = (text: Buffer): Buffer =>
  Buffer.concat([
    Buffer.from('{"model":"m","messages":[{"role":"user","content":"hi"}],"x":'),
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
