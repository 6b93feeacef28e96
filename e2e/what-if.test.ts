import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LimitView, Page } from '../packages/gateway/src/control-plane/admin-api.ts'
import type {
  PolicyReplay,
  PolicySimulation,
} from '../packages/gateway/src/control-plane/what-if-api.ts'
import { askOf, call } from './harness/call.ts'
import { closeAll } from './harness/cleanup.ts'
import { type Gateway, startGateway } from './harness/gateway.ts'
import { type SandboxProcess, startSandboxProcess } from './harness/sandbox.ts'

const MODELS = {
  priced: {
    targets: [
      { provider: 'local', model: 'words-50', price: { input: 0, output: 10 } },
      { provider: 'local', model: 'words-5', price: { input: 0, output: 1 } },
    ],
  },
}
const CALLS = 4

let gateway: Gateway
let sandbox: SandboxProcess
let secret = ''
let id = ''

beforeAll(async () => {
  sandbox = await startSandboxProcess()
  gateway = await startGateway({
    config: {
      log: { level: 'warn' },
      providers: { local: sandbox.provider },
      models: MODELS,
      policy: {
        limits: [
          { id: 'tokens', scope: 'key', unit: 'output_tokens', algorithm: 'lifetime', amount: 900 },
          { id: 'par', scope: 'key', unit: 'concurrent', algorithm: 'concurrent', amount: 1 },
        ],
      },
    },
  })
  const made = await gateway.admin.createKey({ subject: { user: 'ada' } })
  secret = made.key
  id = made.id
  for (let i = 0; i < CALLS; i++) await ask(100)
})
afterAll(closeAll)

function ask(maxTokens: number): ReturnType<typeof call> {
  const { path: at, body } = askOf({ model: 'priced', maxTokens })
  return call(`${gateway.proxyUrl}${at}`, { key: secret, body })
}

const simulate = (body: object): Promise<PolicySimulation> =>
  gateway.admin.send('POST', '/policies/simulate', body)
const replay = (body: object): Promise<PolicyReplay> =>
  gateway.admin.send('POST', '/policies/replay', body)
const used = async (): Promise<number> => {
  const { items } = await gateway.admin.get<Page<LimitView>>('/limits?id=tokens')
  return items[0]?.used ?? 0
}

describe('policies/simulate', () => {
  it('says before what then happens, on the counters of this moment', async () => {
    const before = await used()
    expect(before).toBeGreaterThan(0)
    const { body } = askOf({ model: 'priced', maxTokens: 100 })
    const admitted = await simulate({ key: id, body })
    expect(admitted).toMatchObject({
      admitted: true,
      target: 'local/words-50',
      reserved: { output_tokens: 100 },
      changes: { model: 'words-50' },
    })
    expect(admitted.limits.find((one) => one.id === 'tokens')).toMatchObject({
      used: before,
      amount: 900,
      needs: 100,
    })
    const tight = [
      {
        id: 'tokens',
        scope: 'key',
        unit: 'output_tokens',
        algorithm: 'lifetime',
        amount: before + 1,
        when_short: 'refuse',
      },
    ]
    const candidate = { limits: tight }
    const foreseen = await simulate({ key: id, body, policy: candidate })
    expect(foreseen).toMatchObject({ admitted: false, refusal: { status: 429 } })
    expect(await used()).toBe(before)
    await gateway.admin.send('PATCH', `/keys/${id}`, { policy: candidate })
    const refused = await ask(100)
    expect(refused.status).toBe(foreseen.refusal?.status)
    const { error }: { error: { code: string; message: string } } = JSON.parse(refused.text)
    expect(error.message).toBe(foreseen.refusal?.message)
    await gateway.admin.send('PATCH', `/keys/${id}`, { policy: {}, replace: true })
  })

  it('sees calls that are under way', async () => {
    const { key: other, id: otherId } = await gateway.admin.createKey()
    const { path: at, body } = askOf({
      model: 'local/slow',
      stream: true,
      maxTokens: 500,
    })
    const slow = call(`${gateway.proxyUrl}${at}`, { key: other, body, abortAfterMs: 3000 })
    const seen = await waitForSimulation({ key: otherId, model: 'priced', max_tokens: 10 })
    await slow
    expect(seen).toBe('rate_limit_exceeded')
  })

  it('answers `policy test`, with an exit code for scripts', async () => {
    const words = ['policy', 'test', '--key', id, '--model', 'priced', '--max-tokens', '100']
    const fine = await gateway.cli(...words)
    expect(fine).toMatchObject({ code: 0 })
    expect(fine.out).toMatch(/^verdict {3}admitted\n/)
    expect(fine.out).toContain('local/words-50')
    const policy = JSON.stringify({ models: { deny: ['priced'] } })
    const denied = await gateway.cli(...words, '--policy', policy)
    expect(denied.code).toBe(1)
    expect(denied.out).toContain('refused: 403 model_not_allowed')
    const json = await gateway.cli(...words, '--policy', policy, '--json')
    expect(json.code).toBe(1)
    expect(JSON.parse(json.out)).toMatchObject({ admitted: false, refusal: { status: 403 } })
  })
})

/** The code of the refusal, once there is one. */
async function waitForSimulation(body: object): Promise<string> {
  for (let tries = 0; tries < 200; tries++) {
    const { refusal } = await simulate(body)
    if (refusal !== null) return refusal.code
  }
  return 'never refused'
}

describe('policies/replay', () => {
  it('takes the real records through another policy and other targets', async () => {
    const limit = { id: 'few', scope: 'key', unit: 'requests', algorithm: 'lifetime', amount: 1 }
    const answer = await replay({ since: '1h', key: id, policy: { limits: [limit] } })
    // What was refused while this file ran is a request too.
    expect(answer).toMatchObject({
      requests: CALLS + 1,
      after: { admitted: 1, refused: CALLS },
      refused_by: [{ name: 'few', before: 0, after: CALLS }],
    })
    const turned = { models: { priced: { targets: MODELS.priced.targets.toReversed() } } }
    const { targets, saved_nanousd: saved } = await replay({ since: '1h', config: turned })
    expect(targets).toMatchObject([{ from: 'local/words-50', to: 'local/words-5' }])
    expect(saved).toBeGreaterThan(0)
    const [record] = await gateway.admin.records()
    expect(record?.asked).toEqual({ input_tokens: expect.any(Number), max_output_tokens: 100 })
  })

  it('answers `policy replay` with a candidate file', async () => {
    const file = path.join(gateway.folder, 'next.yaml')
    const models = { priced: { targets: MODELS.priced.targets.toReversed() } }
    writeFileSync(file, JSON.stringify({ models, providers: {} }))
    const ran = await gateway.cli('policy', 'replay', '--since', '1h', '--config', 'next.yaml')
    expect(ran).toMatchObject({ code: 0 })
    expect(ran.err).toContain('not tried, and as they run: providers')
    expect(ran.out).toMatch(/local\/words-50 +local\/words-5/)
    expect(ran.out).toContain('note: ')
    const json = await gateway.cli('policy', 'replay', '--config', 'next.yaml', '--json')
    expect(JSON.parse(json.out)).toMatchObject({ scope: { kind: 'all' } })
    const nothing = await gateway.cli('policy', 'replay')
    expect(nothing).toMatchObject({ code: 2 })
  })
})
