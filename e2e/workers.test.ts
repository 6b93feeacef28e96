import { Agent } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasRedis, startRedis } from '../packages/gateway/src/testing/redis-process.ts'
import { askOf, type CallAnswer, call, inParallel, seeded } from './harness/call.ts'
import { closeAll, onClose } from './harness/cleanup.ts'
import { tempFolder } from './harness/folders.ts'
import { type Gateway, startGateway, tollgate, writeConfig } from './harness/gateway.ts'
import { billedTokens, mixedCalls, send } from './harness/mixed-calls.ts'
import { nothingOpen } from './harness/nothing-open.ts'
import { type SandboxProcess, startSandboxProcess } from './harness/sandbox.ts'
import { waitFor } from './harness/wait-for.ts'
import { wasSent } from './harness/was-sent.ts'
import { childrenOf, isRunning } from './harness/workers.ts'

const SEED = Number(process.env['E2E_SEED'] ?? 20_261_121)

let sandbox: SandboxProcess

beforeAll(async () => {
  sandbox = await startSandboxProcess()
})
afterAll(closeAll)

function configOf(workers: number, more: object = {}, limits: readonly object[] = []): object {
  return {
    log: { level: 'warn' },
    server: { workers },
    providers: { local: sandbox.provider },
    policy: { default_provider: 'local', limits },
    ...more,
  }
}

function ask(gateway: Gateway, key: string, model = 'words-5', agent?: Agent): Promise<CallAnswer> {
  const { path, body } = askOf({ model, maxTokens: 50 })
  return call(`${gateway.proxyUrl}${path}`, {
    key,
    body,
    ...(agent === undefined ? {} : { agent }),
  })
}

/** Connections that are kept, and go to all workers by turns. */
function keptAgents(count: number): readonly Agent[] {
  return Array.from({ length: count }, () => new Agent({ keepAlive: true, maxSockets: 1 }))
}

async function keyWith(gateway: Gateway, limit: object): Promise<string> {
  const { key } = await gateway.admin.createKey({ policy: { limits: [limit] } })
  return key
}

describe.each([2, 4])('%i workers', (workers) => {
  let gateway: Gateway

  beforeAll(async () => {
    gateway = await startGateway({ config: configOf(workers) })
  })

  it.each([
    { id: 'life', unit: 'requests', algorithm: 'lifetime', amount: 137 },
    { id: 'slide', unit: 'requests', algorithm: 'sliding', amount: 101, window: '1h' },
    { id: 'fix', unit: 'requests', algorithm: 'fixed', amount: 89, window: '1m' },
  ])('500 calls at once on a $algorithm limit: exactly the amount passes', async (fields) => {
    const limit = { ...fields, id: `${fields.id}-${workers}`, scope: 'key' }
    const key = await keyWith(gateway, limit)
    const answers = await inParallel(
      Array.from({ length: 500 }, () => () => ask(gateway, key)),
      500,
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(fields.amount)
    const refused = answers.filter(({ status }) => status === 429)
    expect(refused).toHaveLength(500 - fields.amount)
    for (const { text } of refused) {
      expect(JSON.parse(text)).toMatchObject({
        error: { limit: { id: limit.id, used: fields.amount, amount: fields.amount } },
      })
    }
    expect(await gateway.admin.limit(limit.id)).toMatchObject({ used: fields.amount, reserved: 0 })
  })

  it('200 calls at once on a cap of 7: exactly 7 run, and the room comes back', async () => {
    const id = `par-${workers}`
    const key = await keyWith(gateway, {
      id,
      scope: 'key',
      unit: 'concurrent',
      algorithm: 'concurrent',
      amount: 7,
    })
    const answers = await inParallel(
      Array.from({ length: 200 }, () => () => ask(gateway, key, 'words-40+delay-200')),
      200,
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(7)
    expect((await ask(gateway, key)).status).toBe(200)
  })

  it('every worker has answered, and the metrics are of all of them', async () => {
    const { total } = await gateway.admin.get<{ total: number }>('/usage?limit=1')
    const metrics = await gateway.admin.metrics()
    expect(metrics.sum('tollgate_requests_total')).toBe(total)
    expect(metrics.sum('tollgate_workers')).toBe(workers)
    for (let worker = 1; worker <= workers; worker++) {
      const labels = { worker: String(worker) }
      expect(metrics.sum('tollgate_worker_requests_total', labels)).toBeGreaterThan(50)
    }
    const stats = await gateway.admin.get<{ windows: { '24h': { requests: number } } }>('/stats')
    expect(stats.windows['24h'].requests).toBe(total)
    await nothingOpen(gateway.admin)
  })
})

describe('changes', () => {
  it('a key that is revoked is refused by every worker on the very next request', async () => {
    const gateway = await startGateway({ config: configOf(4) })
    const agents = keptAgents(8)
    for (let round = 0; round < 5; round++) {
      const { id, key } = await gateway.admin.createKey()
      for (const agent of agents) {
        expect((await ask(gateway, key, 'words-1', agent)).status).toBe(200)
      }
      await gateway.admin.send('DELETE', `/keys/${id}`)
      const after = await Promise.all(agents.map((agent) => ask(gateway, key, 'words-1', agent)))
      expect(after.map(({ status }) => status)).toEqual(agents.map(() => 401))
    }
    for (const agent of agents) agent.destroy()
  })

  it('a policy, a file and a signal hold in every worker', async () => {
    const gateway = await startGateway({ config: configOf(3) })
    const agents = keptAgents(6)
    const { key } = await gateway.admin.createKey({ policies: [] })
    const all = (): Promise<readonly number[]> =>
      Promise.all(agents.map(async (agent) => (await ask(gateway, key, 'words-1', agent)).status))
    await gateway.admin.send('PUT', '/policies/none', { models: { allow: ['nothing'] } })
    const { items } = await gateway.admin.get<{ items: { id: string }[] }>('/keys')
    await gateway.admin.send('PATCH', `/keys/${items[0]?.id}`, { policies: ['none'] })
    expect(new Set(await all())).toEqual(new Set([403]))
    await gateway.admin.send('PUT', '/policies/none', { models: { allow: ['words-*'] } })
    expect(new Set(await all())).toEqual(new Set([200]))

    gateway.configure(
      configOf(3, { policy: { default_provider: 'local', models: { deny: ['words-1'] } } }),
    )
    gateway.child.kill('SIGHUP')
    await waitFor('the reload', async () => {
      const metrics = await gateway.admin.metrics()
      return metrics.sum('tollgate_config_reloads_total', { result: 'applied' }) >= 1
    })
    expect(new Set(await all())).toEqual(new Set([403]))

    gateway.configure('server: { workers: 3 }\nnonsense: 1\n')
    gateway.child.kill('SIGHUP')
    await waitFor('the refusal', async () => {
      const metrics = await gateway.admin.metrics()
      return metrics.sum('tollgate_config_reloads_total', { result: 'rejected' }) >= 1
    })
    expect(new Set(await all())).toEqual(new Set([403]))
    for (const agent of agents) agent.destroy()
  })
})

const DURABLE = [
  { id: 'life', scope: 'key', unit: 'tokens', algorithm: 'lifetime', amount: 1e12 },
  { id: 'day', scope: 'key', unit: 'requests', algorithm: 'fixed', amount: 1e9, window: '7d' },
]
const MODELS = ['words-30', 'words-5', 'words-60+delay-1', 'cached', 'words-200+delay-2']

type Load = {
  readonly whole: readonly CallAnswer[]
  readonly stop: () => Promise<void>
}

/** Clients that call again as soon as they have an answer or lost it, until stopped. */
function startLoad(gateway: Gateway, key: string, random: () => number): Load {
  const agent = new Agent({ keepAlive: true })
  const whole: CallAnswer[] = []
  const load = { stopped: false }
  const client = async (): Promise<void> => {
    while (!load.stopped) {
      const model = MODELS[Math.floor(random() * MODELS.length)] ?? 'words-5'
      const protocol = random() < 0.5 ? 'openai' : 'anthropic'
      const { path, body } = askOf({ protocol, model, stream: random() < 0.5 })
      const answer = await call(`${gateway.proxyUrl}${path}`, { key, body, agent })
      if (answer.whole && answer.status === 200) whole.push(answer)
      if (answer.status === 0) await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  const clients = Promise.all(Array.from({ length: 16 }, client))
  return {
    whole,
    async stop() {
      load.stopped = true
      await clients
      agent.destroy()
    },
  }
}

/** The counters are what the ledger says, to the token, and every answer that came whole has its record. */
async function expectProven(gateway: Gateway, whole: readonly CallAnswer[]): Promise<void> {
  await nothingOpen(gateway.admin)
  const records = await gateway.admin.records()
  const kept = new Set(records.map(({ request_id }) => request_id))
  expect(kept.size).toBe(records.length)
  expect(whole.filter(({ requestId }) => !kept.has(requestId))).toEqual([])
  let tokens = 0
  for (const { usage } of records) {
    tokens += (usage.input ?? 0) + (usage.output ?? 0) + (usage.cache_read ?? 0)
    tokens += (usage.cache_write_5m ?? 0) + (usage.cache_write_1h ?? 0)
  }
  expect(await gateway.admin.limit('life')).toMatchObject({ used: tokens, reserved: 0 })
  const sent = records.filter(wasSent)
  expect(await gateway.admin.limit('day')).toMatchObject({ used: sent.length, reserved: 0 })
  const summary = await gateway.admin.summary()
  expect(summary.requests).toBe(records.length)
}

describe('ends', () => {
  it('kill -9 of workers under load: what they held is settled, others go on, new ones come', async () => {
    const random = seeded(SEED)
    const gateway = await startGateway({ config: configOf(3, {}, DURABLE) })
    const { key } = await gateway.admin.createKey()
    const load = startLoad(gateway, key, random)
    for (let kill = 0; kill < 4; kill++) {
      const before = load.whole.length
      await waitFor('answers', () => load.whole.length > before + 60)
      const pids = childrenOf(gateway.child.pid)
      const victim = pids[Math.floor(random() * pids.length)] ?? 0
      process.kill(victim, 'SIGKILL')
      await waitFor('another worker', () => {
        const now = childrenOf(gateway.child.pid)
        return now.length === 3 && !now.includes(victim)
      })
    }
    await load.stop()
    await waitFor('all workers', async () => {
      const ready = await call(`${gateway.adminUrl}/health/ready`, { method: 'GET' })
      return JSON.parse(ready.text).checks.workers === 'ok'
    })
    await expectProven(gateway, load.whole)
    const records = await gateway.admin.records()
    const lost = records.filter(({ error_class }) => error_class === 'worker_lost')
    expect(lost.length).toBeGreaterThan(0)
    for (const record of lost) {
      expect(record).toMatchObject({ status: 503, complete: false, estimated: wasSent(record) })
    }
    const metrics = await gateway.admin.metrics()
    expect(metrics.sum('tollgate_workers_lost_total')).toBe(4)
    expect(metrics.sum('tollgate_requests_total')).toBe(records.length)
    const verified = await gateway.cli('ledger', 'verify', '--chain')
    expect(verified).toMatchObject({ code: 0, out: expect.stringContaining(': 0 differences') })
    expect((await ask(gateway, key)).status).toBe(200)
  })

  it('kill -9 of the owner: its workers end, and the next start settles what was open', async () => {
    const random = seeded(SEED + 1)
    const folder = tempFolder()
    let gateway = await startGateway({ folder, config: configOf(2, {}, DURABLE) })
    const { key } = await gateway.admin.createKey()
    const whole: CallAnswer[] = []
    let restarted = 0
    for (let round = 0; round < 3; round++) {
      const load = startLoad(gateway, key, random)
      await waitFor('answers', () => load.whole.length > 60)
      const workers = childrenOf(gateway.child.pid)
      expect(workers).toHaveLength(2)
      gateway.child.kill('SIGKILL')
      await gateway.child.exited
      await waitFor('the end of its workers', () => !workers.some(isRunning))
      await load.stop()
      whole.push(...load.whole)
      gateway = await startGateway({ folder })
      await expectProven(gateway, whole)
      const records = await gateway.admin.records()
      restarted = records.filter(({ error_class }) => error_class === 'gateway_restarted').length
    }
    expect(restarted).toBeGreaterThan(0)
    const bill = await sandbox.bill()
    expect(bill.items.length).toBeGreaterThan(0)
  })

  it('one process settles what the workers of the former start left', async () => {
    const folder = tempFolder()
    const gateway = await startGateway({ folder, config: configOf(2, {}, DURABLE) })
    const { key } = await gateway.admin.createKey()
    await sandbox.forget()
    const open = Array.from({ length: 6 }, () => ask(gateway, key, 'words-400+delay-50'))
    await waitFor('calls at the provider', async () => {
      const { items } = await sandbox.billNow()
      return items.filter(({ outcome }) => outcome === 'open').length === 6
    })
    gateway.child.kill('SIGKILL')
    await Promise.all(open)
    writeConfig(folder, configOf(1, {}, DURABLE))
    const next = await startGateway({ folder })
    const records = await next.admin.records()
    expect(records.map(({ error_class }) => error_class)).toEqual(
      Array.from({ length: 6 }, () => 'gateway_restarted'),
    )
    await expectProven(next, [])
  })

  it('SIGTERM lets a stream end, takes its record, and leaves no process', async () => {
    const gateway = await startGateway({ config: configOf(2) })
    const { key } = await gateway.admin.createKey()
    const workers = childrenOf(gateway.child.pid)
    const { path, body } = askOf({ model: 'words-40+delay-25', stream: true })
    const open = [1, 2, 3].map(() => call(`${gateway.proxyUrl}${path}`, { key, body }))
    await waitFor('streams', async () => {
      return (await gateway.admin.metrics()).sum('tollgate_requests_in_flight') === 3
    })
    gateway.child.kill('SIGTERM')
    for (const answer of await Promise.all(open)) {
      expect(answer).toMatchObject({ status: 200, whole: true })
      expect(answer.text).toContain('[DONE]')
    }
    expect((await gateway.child.exited).code).toBe(0)
    expect(workers.some(isRunning)).toBe(false)
    const { out } = await gateway.cli('ledger', 'summary', '--json')
    expect(JSON.parse(out)).toMatchObject({ requests: 3, errors: 0 })
  })

  it('a signal that the terminal sends to all processes is one stop', async () => {
    const gateway = await startGateway({ config: configOf(2) })
    const { key } = await gateway.admin.createKey()
    const { path, body } = askOf({ model: 'words-30+delay-25', stream: true })
    const open = call(`${gateway.proxyUrl}${path}`, { key, body })
    await waitFor('a stream', async () => {
      return (await gateway.admin.metrics()).sum('tollgate_requests_in_flight') === 1
    })
    for (const pid of childrenOf(gateway.child.pid)) process.kill(pid, 'SIGINT')
    gateway.child.kill('SIGINT')
    expect(await open).toMatchObject({ status: 200, whole: true })
    expect((await gateway.child.exited).code).toBe(0)
  })
})

describe('how many', () => {
  it('comes from the command line and from the environment too', async () => {
    const one = await startGateway({ config: configOf(1), args: ['--workers', '3'] })
    expect(childrenOf(one.child.pid)).toHaveLength(3)
    const env = { TOLLGATE_SERVER__WORKERS: '2' }
    const other = await startGateway({ config: configOf(1), env })
    expect(childrenOf(other.child.pid)).toHaveLength(2)
    const alone = await startGateway({ config: configOf(1) })
    expect(childrenOf(alone.child.pid)).toEqual([])
    expect((await alone.admin.metrics()).sum('tollgate_workers')).toBe(0)
  })

  it.each(['0', '65', '-1', 'two'])('--workers %s is refused', async (workers) => {
    const folder = tempFolder()
    writeConfig(folder, configOf(1))
    const { code, err } = await tollgate(['serve', `--workers=${workers}`], { folder })
    expect(code).toBe(2)
    expect(err).toContain('from 1 to 64')
  })

  it('an address that is in use is said as with one process', async () => {
    const gateway = await startGateway({ config: configOf(2) })
    const folder = tempFolder()
    writeConfig(folder, configOf(2))
    const { port } = new URL(gateway.proxyUrl)
    const words = ['serve', '--port', port, '--admin-port', '0']
    const { code, err } = await tollgate(words, { folder })
    expect(code).toBe(1)
    expect(err).toContain(`${port} is in use`)
  })
})

type RequestEvent = {
  readonly type: string
  readonly data: {
    readonly request_id: string
    readonly key_id: string | null
    readonly model: string | null
  }
}

/** Hears the events of requests until it leaves. */
function listen(
  gateway: Gateway,
  query: string,
): { readonly requests: () => readonly RequestEvent[]; readonly leave: () => void } {
  const away = new AbortController()
  let text = ''
  const hear = async (): Promise<void> => {
    const response = await fetch(`${gateway.adminUrl}/admin/v1/events${query}`, {
      headers: { authorization: `Bearer ${gateway.adminToken}` },
      signal: away.signal,
    })
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString()
  }
  hear().catch(() => {})
  return {
    requests() {
      const events = text.slice(0, text.lastIndexOf('\n\n')).matchAll(/^data: (.*)$/gm)
      return Array.from(events, ([, data]): RequestEvent => JSON.parse(data ?? '{}')).filter(
        ({ type }) => type.startsWith('request.'),
      )
    },
    leave: () => away.abort(),
  }
}

describe('what workers see together', () => {
  it('targets in trouble are told from whichever worker saw it, and forgotten in all', async () => {
    const gateway = await startGateway({ config: configOf(3) })
    const { key } = await gateway.admin.createKey()
    type Health = { targets: { target: string; consecutive_failures: number; state: string }[] }
    const ofTarget = async (): Promise<Health['targets'][number] | undefined> => {
      const { targets } = await gateway.admin.get<Health>('/health')
      return targets.find(({ target }) => target === 'local/error-503')
    }
    for (let i = 0; i < 24; i++) await ask(gateway, key, 'error-503')
    const seen = await waitFor('the failures', async () => {
      const found = await ofTarget()
      return found !== undefined && found.consecutive_failures > 0 && found
    })
    expect(seen.state).not.toBe('healthy')
    const metrics = await gateway.admin.metrics()
    expect(metrics.sum('tollgate_target_consecutive_failures')).toBeGreaterThan(0)
    const { reset } = await gateway.admin.send<{ reset: string[] }>('POST', '/health/reset', {})
    expect(reset).toContain('local/error-503')
    expect((await ofTarget())?.consecutive_failures ?? 0).toBe(0)
  })

  it('ledger, bill, metrics and counters agree over 300 mixed calls with aborts', async () => {
    const gateway = await startGateway({ config: configOf(2, {}, DURABLE) })
    const { key } = await gateway.admin.createKey()
    const agents = keptAgents(16)
    await sandbox.forget()
    const calls = mixedCalls(300, SEED)
    const answers = await inParallel(
      calls.map((one, index) => () => {
        const agent = agents[index % agents.length]
        const place = { url: gateway.proxyUrl, key }
        return send(one, agent === undefined ? place : { ...place, agent })
      }),
      16,
    )
    for (const agent of agents) agent.destroy()
    await nothingOpen(gateway.admin)
    const heard = answers.filter(({ requestId }) => requestId !== '')
    const records = await waitFor('the records', async () => {
      const all = await gateway.admin.records()
      return all.length >= heard.length && all
    })
    const byId = new Map(records.map((record) => [record.request_id, record]))
    const { items } = await sandbox.bill()
    let told = 0
    for (const line of items) {
      const record = byId.get(line.gatewayRequestId ?? '')
      if (record === undefined) throw new Error(`no record of ${line.gatewayRequestId}`)
      if (line.outcome !== 'finished' || !line.usageReported) continue
      told += 1
      const { input, output, cache_read, cache_write_5m, cache_write_1h } = record.usage
      const { input: billed, ...kinds } = billedTokens(line)
      expect({ input, output, cache_read, cache_write_5m, cache_write_1h }).toMatchObject({
        input: billed,
        output: kinds.output,
      })
    }
    expect(told).toBeGreaterThan(80)
    expect(heard.filter(({ requestId }) => !byId.has(requestId))).toEqual([])
    const output = records.reduce((sum, { usage }) => sum + (usage.output ?? 0), 0)
    expect(await gateway.admin.limit('life')).toMatchObject({ reserved: 0 })
    const metrics = await gateway.admin.metrics()
    const summary = await gateway.admin.summary()
    expect(metrics.sum('tollgate_requests_total')).toBe(summary.requests)
    expect(summary.usage.output).toBe(output)
    expect(metrics.sum('tollgate_tokens_total', { kind: 'output' })).toBe(output)
    expect(Math.round(metrics.sum('tollgate_cost_usd_total') * 1e9)).toBe(summary.cost_nanousd)
    const { code, out } = await gateway.cli('ledger', 'verify', '--chain')
    expect({ code, out }).toMatchObject({
      code: 0,
      out: expect.stringContaining(': 0 differences'),
    })
  })

  it('metrics, statistics, events, access log and ledger tell of the same calls, as soon as they are answered', async () => {
    const gateway = await startGateway({ config: configOf(2, { log: { level: 'info' } }) })
    const { key } = await gateway.admin.createKey()
    const live = listen(gateway, '')
    const agents = keptAgents(8)
    const models = ['words-3', 'error-400', 'words-5']
    const answers = await Promise.all(
      agents.flatMap((agent) => models.map((model) => ask(gateway, key, model, agent))),
    )
    for (const agent of agents) agent.destroy()
    const metrics = await gateway.admin.metrics()
    expect(metrics.sum('tollgate_requests_total')).toBe(answers.length)
    expect(metrics.sum('tollgate_requests_total', { status: '400' })).toBe(agents.length)
    const last = await ask(gateway, key, 'words-3')
    type Stats = { windows: Record<'1m' | '24h', { requests: number; errors: number }> }
    const { windows } = await gateway.admin.get<Stats>('/stats')
    expect(windows['1m']).toMatchObject({ requests: answers.length + 1, errors: agents.length })
    const ids = [...answers, last].map(({ requestId }) => requestId).toSorted()
    const failed = answers.filter(({ status }) => status === 400).map((one) => one.requestId)
    const later = listen(gateway, '?last_event_id=0')
    for (const listener of [live, later]) {
      const events = await waitFor('the events', () => {
        const heard = listener.requests()
        return heard.length >= ids.length && heard
      })
      expect(events.map(({ data }) => data.request_id).toSorted()).toEqual(ids)
      const failures = events.filter(({ type }) => type === 'request.failed')
      expect(failures.map(({ data }) => data.request_id).toSorted()).toEqual(failed.toSorted())
      expect(events.every(({ data }) => data.model === null || data.key_id !== null)).toBe(true)
      listener.leave()
    }
    const logged = await waitFor('the lines', () => {
      const lines = gateway.child.stdout().matchAll(/"msg":"request","request_id":"([^"]+)"/g)
      const found = Array.from(lines, ([, id]) => String(id))
      return found.length >= ids.length && found
    })
    expect(logged.toSorted()).toEqual(ids)
    expect((await gateway.admin.records()).map((one) => one.request_id).toSorted()).toEqual(ids)
  })

  it('a call under an idempotency key is made once, whichever worker it comes to', async () => {
    const gateway = await startGateway({ config: configOf(3) })
    const { key } = await gateway.admin.createKey()
    await sandbox.forget()
    const { path, body } = askOf({ model: 'words-20+delay-5', maxTokens: 50 })
    const headers = { 'idempotency-key': `once-${SEED}` }
    const answers = await inParallel(
      Array.from(
        { length: 12 },
        () => () => call(`${gateway.proxyUrl}${path}`, { key, body, headers }),
      ),
      12,
    )
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    expect((await sandbox.bill()).items).toHaveLength(1)
  })
})

describe.skipIf(!hasRedis())('limits in Redis', () => {
  it('are asked through the owner: exact, and what a killed worker held is settled', async () => {
    const redis = await startRedis()
    onClose(() => redis.stop())
    const limits = [
      { id: 'life', scope: 'key', unit: 'requests', algorithm: 'lifetime', amount: 80 },
    ]
    const gateway = await startGateway({
      config: configOf(2, { limits: { backend: 'env:REDIS_URL' } }, limits),
      env: { REDIS_URL: redis.url },
    })
    const { key } = await gateway.admin.createKey()
    await sandbox.forget()
    const slow = Array.from({ length: 6 }, () => ask(gateway, key, 'words-40+delay-200'))
    const reserved = async (): Promise<number> => {
      const { items } = await gateway.admin.get<{ items: { reserved: number }[] }>(
        '/limits?id=life',
      )
      return items[0]?.reserved ?? 0
    }
    await waitFor('calls at the provider', async () => {
      const { items } = await sandbox.billNow()
      return items.filter(({ outcome }) => outcome === 'open').length === 6
    })
    expect(await reserved()).toBe(6)
    for (const pid of childrenOf(gateway.child.pid)) process.kill(pid, 'SIGKILL')
    await Promise.all(slow)
    await waitFor('new workers', async () => {
      const ready = await call(`${gateway.adminUrl}/health/ready`, { method: 'GET' })
      return JSON.parse(ready.text).checks.workers === 'ok'
    })
    await waitFor('what they held', async () => (await reserved()) === 0)
    expect(await gateway.admin.limit('life')).toMatchObject({ used: 6 })
    await waitFor('their records', async () => {
      const records = await gateway.admin.records()
      return records.filter(({ error_class }) => error_class === 'worker_lost').length === 6
    })
    const answers = await inParallel(
      Array.from({ length: 200 }, () => () => ask(gateway, key)),
      200,
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(74)
  })
})
