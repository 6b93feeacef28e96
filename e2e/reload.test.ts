import { Agent } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CallAnswer, askOf, call } from './harness/call.ts'
import { closeAll, onClose } from './harness/cleanup.ts'
import { type Gateway, startGateway } from './harness/gateway.ts'
import { type SandboxProcess, startSandboxProcess } from './harness/sandbox.ts'
import { waitFor } from './harness/wait-for.ts'

const RELOADS = 10
const CLIENTS = 8

let gateway: Gateway
let sandbox: SandboxProcess
let secret = ''

beforeAll(async () => {
  sandbox = await startSandboxProcess()
  gateway = await startGateway({ config: configWith('v0') })
  secret = (await gateway.admin.createKey()).key
})
afterAll(closeAll)

/** A configuration that serves one public name. */
function configWith(name: string): object {
  return {
    log: { level: 'info', format: 'json' },
    providers: { local: sandbox.provider },
    models: {
      steady: { targets: [{ provider: 'local', model: 'words-20+delay-2' }] },
      [name]: { targets: [{ provider: 'local', model: 'words-3' }] },
    },
  }
}

function ask(model: string, agent?: Agent): Promise<CallAnswer> {
  const { path, body } = askOf({ model, stream: true })
  const url = `${gateway.proxyUrl}${path}`
  return call(url, { key: secret, body, ...(agent === undefined ? {} : { agent }) })
}

const reloads = async (result: string): Promise<number> =>
  (await gateway.admin.metrics()).sum('tollgate_config_reloads_total', { result })

/** What the event stream has said since it was opened. */
async function events(): Promise<() => string> {
  const { adminUrl, adminToken } = gateway
  const stop = new AbortController()
  onClose(() => stop.abort())
  const response = await fetch(`${adminUrl}/admin/v1/events`, {
    headers: { authorization: `Bearer ${adminToken}` },
    signal: stop.signal,
  })
  let text = ''
  const decoder = new TextDecoder()
  const read = async (): Promise<void> => {
    for await (const chunk of response.body ?? []) text += decoder.decode(chunk, { stream: true })
  }
  read().catch(() => {})
  return () => text
}

describe('a configuration that changes while requests run', () => {
  it(`${RELOADS} reloads under load fail no request, and each counts at once`, async () => {
    const agent = new Agent({ keepAlive: true })
    const load = { stopped: false }
    const answers: CallAnswer[] = []
    const client = async (): Promise<void> => {
      while (!load.stopped) answers.push(await ask('steady', agent))
    }
    const clients = Promise.all(Array.from({ length: CLIENTS }, client))
    for (let i = 1; i <= RELOADS; i++) {
      gateway.configure(configWith(`v${i}`))
      await waitFor(`reload ${i}`, async () => (await reloads('applied')) >= i)
      expect((await ask(`v${i}`)).status).toBe(200)
      expect((await ask(`v${i - 1}`)).status).toBe(404)
    }
    load.stopped = true
    await clients
    agent.destroy()
    const failed = answers.filter(({ status, whole }) => status !== 200 || !whole)
    console.log(`${RELOADS} reloads: ${answers.length} streams, ${failed.length} failed`)
    expect(failed).toEqual([])
    expect(answers.length).toBeGreaterThan(100)
    expect(answers.every(({ text }) => text.endsWith('data: [DONE]\n\n'))).toBe(true)
  })

  it('a bad file keeps the running plan, and says so in log, metrics and events', async () => {
    gateway.configure(configWith('good'))
    await waitFor('the good file', async () => (await ask('good')).status === 200)
    const seen = await events()
    const before = await reloads('rejected')
    gateway.configure('models:\n  broken: { targets: [] }\n')
    await waitFor('the refusal', async () => (await reloads('rejected')) > before)
    expect((await ask('good')).status).toBe(200)
    await waitFor('the event', () => seen().includes('event: config.rejected'))
    expect(seen()).toContain('models.broken.targets')
    const line = gateway.child
      .stdout()
      .split('\n')
      .find((one) => one.includes('the configuration was rejected'))
    expect(JSON.parse(line ?? '{}')).toMatchObject({
      level: 'error',
      problem: expect.stringMatching(/tollgate\.yaml:2:\d+: models\.broken\.targets/),
    })
    const forced = await gateway.admin.raw('POST', '/config/reload')
    expect(forced).toMatchObject({ status: 400, body: { error: { code: 'invalid_config' } } })
    gateway.configure(configWith('back'))
    await waitFor('the good file', async () => (await ask('back')).status === 200)
  })

  it('a policy that keys already use counts on the next request', async () => {
    const limit = { id: 'file', scope: 'key', unit: 'requests', algorithm: 'lifetime', amount: 1 }
    const before = await reloads('applied')
    gateway.configure({ ...configWith('limited'), policy: { limits: [limit] } })
    await waitFor('the reload', async () => (await reloads('applied')) > before)
    expect([(await ask('limited')).status, (await ask('limited')).status]).toEqual([200, 429])
  })

  it.skipIf(process.platform === 'win32')('SIGHUP reads it again', async () => {
    const before = await reloads('applied')
    gateway.child.kill('SIGHUP')
    await waitFor('the reload', async () => (await reloads('applied')) > before)
    expect(gateway.child.running()).toBe(true)
  })
})
