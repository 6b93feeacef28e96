import Anthropic from '@anthropic-ai/sdk'
import { GoogleGenAI } from '@google/genai'
import OpenAI from 'openai'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { closeAll } from './harness/cleanup.ts'
import { type Gateway, startGateway } from './harness/gateway.ts'
import { type SandboxProcess, startSandboxProcess } from './harness/sandbox.ts'

const TEXT = 'how many tokens may this text be worth'

let gateway: Gateway
let sandbox: SandboxProcess
let secret = ''

beforeAll(async () => {
  sandbox = await startSandboxProcess()
  gateway = await startGateway({
    config: {
      providers: { local: { ...sandbox.provider, protocol: 'openai-chat' } },
      policy: { default_provider: 'local' },
      models: {
        'team/fast': {
          price: { input: 1, output: 2 },
          targets: [{ provider: 'local', model: 'words-7' }],
        },
      },
    },
  })
  secret = (await gateway.admin.createKey()).key
})
beforeEach(() => sandbox.forget())
afterAll(closeAll)

const openai = (): OpenAI =>
  new OpenAI({ apiKey: secret, baseURL: `${gateway.proxyUrl}/v1`, maxRetries: 0 })
const anthropic = (): Anthropic =>
  new Anthropic({ apiKey: secret, baseURL: gateway.proxyUrl, maxRetries: 0 })
const google = (): GoogleGenAI =>
  new GoogleGenAI({ apiKey: secret, httpOptions: { baseUrl: gateway.proxyUrl } })

describe('a count for a provider without a counter', () => {
  it('is an estimate of Messages', async () => {
    const counting = anthropic().messages.countTokens({
      model: 'team/fast',
      messages: [{ role: 'user', content: TEXT }],
    })
    const { data, response } = await counting.withResponse()
    expect(data.input_tokens).toBeGreaterThanOrEqual(8)
    expect(data.input_tokens).toBeLessThan(40)
    expect(response.headers.get('x-tollgate-estimate')).toBe('true')
    expect(await sandbox.requests()).toEqual([])
  })

  it('is an estimate of Gemini', async () => {
    const { totalTokens } = await google().models.countTokens({
      model: 'team/fast',
      contents: TEXT,
    })
    expect(totalTokens).toBeGreaterThanOrEqual(8)
    expect(totalTokens).toBeLessThan(40)
    expect(await sandbox.requests()).toEqual([])
  })
})

describe('models', () => {
  it('are listed and found in the shape of each client', async () => {
    const listed: string[] = []
    for await (const { id } of openai().models.list()) listed.push(id)
    expect(listed).toContain('team/fast')
    expect(await openai().models.retrieve('team/fast')).toMatchObject({ object: 'model' })
    const theirs: string[] = []
    for await (const { id } of anthropic().models.list()) theirs.push(id)
    expect(theirs).toEqual(listed)
    expect(await anthropic().models.retrieve('team/fast')).toMatchObject({ type: 'model' })
    const names: (string | undefined)[] = []
    for await (const { name } of await google().models.list()) names.push(name)
    expect(names).toEqual(listed.map((id) => `models/${id}`))
    const found = await google().models.get({ model: 'team/fast' })
    expect(found.name).toBe('models/team/fast')
  })

  it('are not found by a client that may not use them', async () => {
    const { key } = await gateway.admin.createKey({ policy: { models: { deny: 'team/*' } } })
    const limited = openai().withOptions({ apiKey: key })
    await expect(limited.models.retrieve('team/fast')).rejects.toMatchObject({ status: 404 })
  })
})

it('the native envelope tells the model and the cost', async () => {
  const { choices, usage } = await openai().chat.completions.create({
    model: 'team/fast',
    messages: [{ role: 'user', content: TEXT }],
  })
  const answer = await openai().post<Record<string, unknown>>('/chat', {
    body: { request: { model: 'team/fast', messages: [{ role: 'user', content: TEXT }] } },
  })
  const { prompt_tokens: input = 0, completion_tokens: output = 0 } = usage ?? {}
  expect(answer).toMatchObject({
    negotiated_model: 'words-7',
    estimated_cost_usd: (input * 1000 + output * 2000) / 1e9,
    routing_reason: 'explicit-model',
    response: { choices, usage },
  })
  const refused = openai().post('/chat', { body: { request: {}, policy: { color: 'red' } } })
  await expect(refused).rejects.toMatchObject({ status: 400, param: 'policy.color' })
})
