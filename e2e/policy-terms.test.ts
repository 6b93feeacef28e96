import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { isRecord } from '../packages/gateway/src/lib/is-record.ts'
import {
  chat,
  itemsOf,
  newWorkspace,
  type Result,
  serve,
  type Served,
  textOf,
  tollgate,
  tollgateJson,
} from './cli-harness.ts'

const CONFIG = `
providers:
  sandbox: {}
  down: { protocol: openai-chat, base_url: 'http://127.0.0.1:1/v1', credential: none, allow_private: true }
  closed: { extends: openai, base_url: 'http://127.0.0.1:1/v1', allow_private: true, credential: env:CLOSED_KEY }
credentials: { allowed: [{ credential: env:TEAM_SECRET, providers: [closed] }] }
policies: { brief: { prompts: [{ role: system, content: Answer in one short sentence. }] } }
`
const SECRET = 'sk-team-secret-0123456789abcdef'
const WAIT = { timeout: 15_000, interval: 100 }

const workspace = newWorkspace()
const withSecret = { ...workspace, env: { ...workspace.env, TEAM_SECRET: SECRET } }
let gateway: Served
let output = ''

beforeAll(async () => {
  writeFileSync(path.join(workspace.dir, 'tollgate.yaml'), CONFIG)
  gateway = await serve(withSecret, ['--json-logs'])
  gateway.child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()))
})
afterAll(async () => {
  await gateway.stop()
  workspace.remove()
})

type Made = { readonly id: string; readonly key: string }

async function newKey(policy: object, flags: readonly string[] = []): Promise<Made> {
  const args = ['key', 'create', '--name', 'one', '--policy', JSON.stringify(policy), ...flags]
  const made = await tollgateJson(withSecret, args)
  return { id: textOf(made, 'id'), key: textOf(made, 'key') }
}

function refusedKey(policy: object): Promise<Result> {
  const args = ['key', 'create', '--name', 'no', '--policy', JSON.stringify(policy)]
  return tollgate(withSecret, args)
}

async function messages(key: string): Promise<number> {
  const response = await fetch(`${gateway.proxyUrl}/v1/messages`, {
    method: 'POST',
    headers: { 'x-api-key': key, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'sandbox-mini',
      max_tokens: 50,
      system: [{ type: 'text', text: 'Be kind.', cache_control: { type: 'ephemeral' } }],
      messages: [{ role: 'user', content: 'Hello' }],
    }),
  })
  await response.arrayBuffer()
  return response.status
}

/** Input tokens of the key's calls, the latest last. */
async function inputsOf(id: string): Promise<readonly unknown[]> {
  const list = await tollgateJson(withSecret, ['ledger', 'list', '--key', id])
  return itemsOf(list)
    .map(({ usage }) => (isRecord(usage) ? usage['input'] : null))
    .toReversed()
}

describe('prompts', () => {
  it('reach the provider in both protocols, and are what limits and ledger count', async () => {
    const limits = [
      { id: 'in', scope: 'key', unit: 'input_tokens', algorithm: 'lifetime', amount: 1e6 },
    ]
    const plain = await newKey({ limits })
    const prompted = await newKey({
      limits,
      prompts: [{ role: 'system', content: 'word '.repeat(400) }],
    })
    for (const { key } of [plain, prompted]) {
      expect([await chat(gateway.proxyUrl, key), await messages(key)]).toEqual([200, 200])
    }
    const without = (await inputsOf(plain.id)).map(Number)
    const given = (await inputsOf(prompted.id)).map(Number)
    expect(given).toHaveLength(2)
    for (const [index, tokens] of given.entries()) {
      expect(tokens - (without[index] ?? 0)).toBeGreaterThanOrEqual(400)
    }
    const counters = itemsOf(await tollgateJson(withSecret, ['limit', 'list']))
    const used = counters.find(({ value }) => value === prompted.id)?.['used']
    expect(used).toBe(given.reduce((sum, tokens) => sum + tokens, 0))
  })
})

describe('what the operator does not allow', () => {
  it.each([
    [{ credential: 'env:PATH', default_provider: 'closed' }, 'env:PATH is not allowed'],
    [{ base_key_env: 'TEAM_SECRET', default_provider: 'down' }, 'for the provider down'],
    [
      { upstream_url: 'http://169.254.169.254', default_provider: 'closed' },
      'custom_upstreams.enabled',
    ],
    [{ credential: 'vault:x' }, 'vault: is not available in this version'],
    [{ memory: { enabled: true } }, 'not available in this version'],
  ])('is refused when a key is made: %j', async (policy, problem) => {
    const { code, err } = await refusedKey(policy)
    expect([code, err]).toEqual([2, expect.stringContaining(problem)])
  })

  it('is explained by its reference, and its secret is written nowhere', async () => {
    const policy = { credential: 'env:TEAM_SECRET', timeout: 30, retry: { max_retries: 1 } }
    const { id, key } = await newKey(policy, ['--policies', 'brief'])
    const explained = await tollgate(withSecret, ['policy', 'explain', id])
    expect(explained.code).toBe(0)
    for (const text of [
      'env:TEAM_SECRET',
      'timeout.total',
      'retry.max_retries',
      'policies.brief',
    ]) {
      expect(explained.out).toContain(text)
    }
    expect(await chat(gateway.proxyUrl, key, 'closed/gpt-4o-mini')).toBe(502)
    const config = await tollgate(withSecret, ['config', 'show'])
    expect(explained.out + config.out + output).not.toContain(SECRET)
  })
})

describe('retry', () => {
  it('falls back to a model of another provider', async () => {
    const { key, id } = await newKey({ retry: { fallbacks: ['sandbox-mini'] } })
    expect(await chat(gateway.proxyUrl, key, 'down/any')).toBe(200)
    const [record] = itemsOf(await tollgateJson(withSecret, ['ledger', 'list', '--key', id]))
    expect(record).toMatchObject({
      requested_model: 'down/any',
      model: 'sandbox-mini',
      provider: 'sandbox',
      attempts: [{ target: 'down/any' }, { target: 'sandbox/sandbox-mini' }],
    })
  })
})

describe('rotation', () => {
  it('is told when it is due, and enforced only where the policy says so', async () => {
    const every = ['--rotate-every', '1s']
    const warned = await newKey({}, every)
    const strict = await newKey({ disable_overdue_after: '1s' }, every)
    expect(await chat(gateway.proxyUrl, strict.key)).toBe(200)
    const stateOf = async (id: string): Promise<unknown> =>
      (await tollgateJson(withSecret, ['key', 'get', '--id', id]))['state']
    await vi.waitFor(async () => expect(await stateOf(strict.id)).toBe('overdue'), WAIT)
    expect(await chat(gateway.proxyUrl, strict.key)).toBe(401)
    expect([await chat(gateway.proxyUrl, warned.key), await stateOf(warned.id)]).toEqual([
      200,
      'active',
    ])
    for (const { id } of [warned, strict]) {
      expect(output).toMatch(new RegExp(`"key_id":"${id}".*"a key is due for rotation"`))
    }
    const shown = await tollgate(withSecret, ['key', 'get', '--id', warned.id])
    expect(shown.out).toContain('overdue since')
    const rotated = await tollgateJson(withSecret, ['key', 'rotate', '--id', strict.id])
    expect(await chat(gateway.proxyUrl, textOf(rotated, 'key'))).toBe(200)
  })
})
