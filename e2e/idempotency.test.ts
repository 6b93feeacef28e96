import { readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { hashKeySecret } from '../packages/gateway/src/lib/virtual-key.ts'
import {
  POSTGRES_FOLDER,
  type PostgresServer,
  startPostgres,
} from '../packages/gateway/src/testing/postgres-server.ts'
import {
  hasRedis,
  type RedisProcess,
  startRedis,
} from '../packages/gateway/src/testing/redis-process.ts'
import { askOf, type CallAnswer, call } from './harness/call.ts'
import { closeAll, onClose } from './harness/cleanup.ts'
import { tempFolder } from './harness/folders.ts'
import { type Gateway, startGateway } from './harness/gateway.ts'
import { nothingOpen } from './harness/nothing-open.ts'
import { type SandboxProcess, startSandboxProcess } from './harness/sandbox.ts'
import { waitFor } from './harness/wait-for.ts'

const LIMITS = [
  { id: 'life', scope: 'key', unit: 'tokens', algorithm: 'lifetime', amount: 1e12 },
  { id: 'requests', scope: 'key', unit: 'requests', algorithm: 'fixed', amount: 1e9, window: '7d' },
]
const PROTOCOLS = ['openai', 'anthropic'] as const
const HASH_KEY = 'one hash key for all gateways'
const SECRET = 'tkn_1111111111111111111111111111111111111111111'

let sandbox: SandboxProcess

beforeEach(async () => {
  sandbox = await startSandboxProcess(2)
})
afterEach(closeAll)

type Asked = {
  readonly key: string
  readonly idempotent: string
  readonly model?: string
  readonly stream?: boolean
  readonly protocol?: (typeof PROTOCOLS)[number]
  readonly text?: string
  readonly abortAfterBytes?: number
}

function send({ proxyUrl }: Gateway, asked: Asked): Promise<CallAnswer> {
  const { key, idempotent, model = 'words-20', stream = false, protocol = 'openai' } = asked
  const { path: url, body } = askOf({ protocol, model, stream, text: asked.text ?? 'hello' })
  return call(`${proxyUrl}${url}`, {
    key,
    body,
    headers: { 'idempotency-key': idempotent },
    ...(asked.abortAfterBytes === undefined ? {} : { abortAfterBytes: asked.abortAfterBytes }),
  })
}

function configOf(more: object = {}): object {
  return {
    log: { level: 'warn' },
    providers: { local: sandbox.provider },
    policy: { default_provider: 'local', limits: LIMITS },
    ...more,
  }
}

function inTurn(fleet: readonly Gateway[], index: number): Gateway {
  const gateway = fleet[index % fleet.length]
  if (gateway === undefined) throw new Error('no gateways')
  return gateway
}

const isReplay = ({ headers }: CallAnswer): boolean => headers['idempotency-replay'] === 'true'

describe('a key in one gateway', () => {
  it.each(PROTOCOLS.flatMap((protocol) => [false, true].map((stream) => ({ protocol, stream }))))(
    '50 duplicates at once: one call, the same bytes to all; also after a restart ($protocol, stream: $stream)',
    async ({ protocol, stream }) => {
      const folder = tempFolder()
      const first = await startGateway({ folder, config: configOf() })
      const { key } = await first.admin.createKey()
      const asked = { key, idempotent: 'once', protocol, stream }
      const answers = await Promise.all(Array.from({ length: 50 }, () => send(first, asked)))
      expect(answers.map(({ status, whole }) => `${status} ${whole}`)).toEqual(
        answers.map(() => '200 true'),
      )
      const text = answers[0]?.text ?? ''
      expect(text.length).toBeGreaterThan(50)
      expect(answers.every((one) => one.text === text)).toBe(true)
      expect(answers.filter(isReplay)).toHaveLength(49)
      expect((await sandbox.bill()).items).toHaveLength(1)
      await nothingOpen(first.admin)
      const life = await first.admin.limit('life')
      const metrics = await first.admin.metrics()
      expect(metrics.sum('tollgate_cache_requests_total', { result: 'idempotent' })).toBe(49)
      await first.child.stop()

      const second = await startGateway({ folder })
      const again = await send(second, asked)
      expect([again.status, again.text, isReplay(again)]).toEqual([200, text, true])
      expect(again.headers['content-type']).toBe(answers[0]?.headers['content-type'])
      expect((await sandbox.bill()).items).toHaveLength(1)
      const records = await second.admin.records()
      const paid = records.filter(({ cache }) => cache === null)
      expect([records.length, paid.length]).toEqual([51, 1])
      expect(
        records.every(({ complete, stream: streamed }) => complete && streamed === stream),
      ).toBe(true)
      expect(new Set(records.map(({ request_id }) => request_id)).size).toBe(51)
      expect(records.filter(({ cost_nanousd }) => cost_nanousd === 0)).toHaveLength(50)
      // Only the call itself was charged, by tokens and by requests.
      expect((await second.admin.limit('life')).used).toBe(life.used)
      expect((await second.admin.limit('requests')).used).toBe(1)
    },
  )

  it('who saw the end of an answer gets it again after kill -9', async () => {
    const folder = tempFolder()
    let gateway = await startGateway({ folder, config: configOf() })
    const { key } = await gateway.admin.createKey()
    const seen = new Map<string, string>()
    for (let round = 0; round < 5; round++) {
      const asked = { key, stream: round % 2 === 0 }
      const under = Array.from({ length: 4 }, (_, i) => `r${round}-${i}`)
      const running = under.map((idempotent) => send(gateway, { ...asked, idempotent }))
      const { text, idempotent } = await Promise.any(
        running.map(async (one, i) => {
          const answer = await one
          if (!answer.whole) throw new Error('cut')
          return { text: answer.text, idempotent: under[i] ?? '' }
        }),
      )
      gateway.child.kill('SIGKILL')
      seen.set(idempotent, text)
      await gateway.child.exited
      await Promise.all(running)
      gateway = await startGateway({ folder })
      const again = await send(gateway, { ...asked, idempotent })
      expect([again.status, again.text, isReplay(again)]).toEqual([200, text, true])
    }
    expect(seen.size).toBe(5)
  })

  it('a call that kill -9 ended is made again at once', async () => {
    const folder = tempFolder()
    const first = await startGateway({ folder, config: configOf() })
    const { key } = await first.admin.createKey()
    const asked = { key, idempotent: 'cut', stream: true, model: 'words-400' }
    const running = send(first, asked)
    await waitFor('a call', async () => (await sandbox.billNow()).items.length === 1)
    first.child.kill('SIGKILL')
    expect((await running).whole).toBe(false)
    const second = await startGateway({ folder })
    const again = await send(second, { ...asked, model: 'words-400' })
    expect([again.status, again.whole, isReplay(again)]).toEqual([200, true, false])
    expect((await sandbox.bill()).items).toHaveLength(2)
  })

  it('is another key for another virtual key, and on another path', async () => {
    const gateway = await startGateway({ config: configOf() })
    const [mine, other] = [await gateway.admin.createKey(), await gateway.admin.createKey()]
    const answers = [
      await send(gateway, { key: mine.key, idempotent: 'same', text: 'a secret of the first' }),
      await send(gateway, { key: other.key, idempotent: 'same', text: 'nothing secret' }),
      await send(gateway, { key: mine.key, idempotent: 'same', protocol: 'anthropic' }),
    ]
    expect(answers.map((one) => [one.status, isReplay(one)])).toEqual(
      answers.map(() => [200, false]),
    )
    expect((await sandbox.bill()).items).toHaveLength(3)
    const stolen = await send(gateway, {
      key: other.key,
      idempotent: 'same',
      text: 'a secret of the first',
    })
    expect(stolen.status).toBe(422)
    const rotated = await gateway.cli('key', 'revoke', '--id', mine.id)
    expect(rotated.code).toBe(0)
    const revoked = await send(gateway, {
      key: mine.key,
      idempotent: 'same',
      text: 'a secret of the first',
    })
    expect(revoked.status).toBe(401)
  })

  it('outlives its budget: a replay is refused by no limit', async () => {
    const limits = [{ id: 'two', scope: 'key', unit: 'requests', algorithm: 'lifetime', amount: 1 }]
    const policy = { default_provider: 'local', limits }
    const gateway = await startGateway({ config: configOf({ policy }) })
    const { key } = await gateway.admin.createKey()
    const first = await send(gateway, { key, idempotent: 'a' })
    expect((await send(gateway, { key, idempotent: 'b' })).status).toBe(429)
    const again = await send(gateway, { key, idempotent: 'a' })
    expect([again.status, again.text]).toEqual([200, first.text])
  })

  it('ends with its time to live, and a changed file changes that', async () => {
    const gateway = await startGateway({ config: configOf({ idempotency: { ttl: '3s' } }) })
    const { key } = await gateway.admin.createKey()
    const isAgain = async (idempotent: string): Promise<boolean> => {
      await send(gateway, { key, idempotent })
      return isReplay(await send(gateway, { key, idempotent }))
    }
    expect(await isAgain('short')).toBe(true)
    await waitFor('the end of the answer', async () => {
      return !isReplay(await send(gateway, { key, idempotent: 'short' }))
    })
    gateway.configure(configOf({ idempotency: { enabled: false } }))
    await waitFor('the new configuration', async () => !(await isAgain('off')))
  })

  it('keeps answers where only the owner can read them', async () => {
    const gateway = await startGateway({ config: configOf() })
    const { key } = await gateway.admin.createKey()
    await send(gateway, { key, idempotent: 'private' })
    const data = path.join(gateway.folder, '.tollgate')
    const files = readdirSync(data).filter((name) => name.startsWith('tollgate.db'))
    expect(files.length).toBeGreaterThan(0)
    for (const name of files)
      expect([name, statSync(path.join(data, name)).mode & 0o077]).toEqual([name, 0])
  })
})

describe('a gateway with two workers', () => {
  it.each([false, true])(
    '50 duplicates at both: one call, the same bytes (stream: %s)',
    async (stream) => {
      const gateway = await startGateway({ config: configOf({ server: { workers: 2 } }) })
      const { key } = await gateway.admin.createKey()
      const asked = { key, idempotent: 'once', stream }
      const answers = await Promise.all(Array.from({ length: 50 }, () => send(gateway, asked)))
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
      expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
      expect(answers.filter(isReplay)).toHaveLength(49)
      expect((await sandbox.bill()).items).toHaveLength(1)
      expect((await send(gateway, { ...asked, text: 'other' })).status).toBe(422)
      const records = await waitFor('every record', async () => {
        const all = await gateway.admin.records()
        return all.length === 51 && all
      })
      expect(records.filter(({ cache }) => cache === 'idempotent')).toHaveLength(49)
    },
  )
})

/** Gateways with stores of their own whose file declares the same virtual key. */
function fleetConfig(more: object): object {
  const virtual_keys = [{ name: 'shared', hash: hashKeySecret(HASH_KEY, SECRET) }]
  return configOf({ virtual_keys, ...more })
}

function startFleet(size: number, more: object): Promise<readonly Gateway[]> {
  const env = { TOLLGATE_HASH_KEY: HASH_KEY }
  return Promise.all(
    Array.from({ length: size }, () => startGateway({ config: fleetConfig(more), env })),
  )
}

describe.skipIf(!hasRedis())('gateways with one Redis', () => {
  let redis: RedisProcess
  beforeEach(async () => {
    redis = await startRedis()
    onClose(() => redis.stop())
  })
  const limits = () => ({ limits: { backend: redis.url, timeout: '250ms' } })

  it.each([false, true])(
    '50 duplicates at two of them: one call, the same bytes (stream: %s)',
    async (stream) => {
      const fleet = await startFleet(2, limits())
      const asked = { key: SECRET, idempotent: 'once', stream }
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, i) => send(inTurn(fleet, i), asked)),
      )
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
      expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
      expect(answers.filter(isReplay)).toHaveLength(49)
      expect((await sandbox.bill()).items).toHaveLength(1)
      const [first] = fleet
      await first?.child.stop()
      const restarted = await startGateway({
        folder: first?.folder ?? '',
        env: { TOLLGATE_HASH_KEY: HASH_KEY },
      })
      const again = await send(restarted, asked)
      expect([again.text, isReplay(again)]).toEqual([answers[0]?.text, true])
      expect((await sandbox.bill()).items).toHaveLength(1)
      expect((await send(restarted, { ...asked, text: 'other' })).status).toBe(422)
    },
  )

  it('a gateway that is killed in the middle of a call does not block its key', async () => {
    const [one, two] = await startFleet(2, limits())
    if (one === undefined || two === undefined) throw new Error('no gateways')
    const asked = { key: SECRET, idempotent: 'cut', stream: true, model: 'words-400' }
    const running = send(one, asked)
    await waitFor('a call', async () => (await sandbox.billNow()).items.length === 1)
    const waiting = send(two, asked)
    one.child.kill('SIGKILL')
    await running
    const answer = await waiting
    expect([answer.status, answer.whole, isReplay(answer)]).toEqual([200, true, false])
    expect((await sandbox.bill()).items).toHaveLength(2)
  })

  it('that is away: nothing is sent twice, and requests without a key pass', async () => {
    const [gateway] = await startFleet(1, {
      ...limits(),
      policy: { default_provider: 'local' },
    })
    if (gateway === undefined) throw new Error('no gateway')
    await redis.kill()
    const refused = await waitFor('the loss of Redis', async () => {
      const answer = await send(gateway, { key: SECRET, idempotent: 'lost' })
      return answer.status === 503 && answer
    })
    expect(refused.headers['x-tollgate-error']).toBe('idempotency_unavailable')
    expect(refused.headers['retry-after']).toBe('1')
    const { path: url, body } = askOf({ model: 'words-5' })
    expect((await call(`${gateway.proxyUrl}${url}`, { key: SECRET, body })).status).toBe(200)
    await redis.restart()
    await waitFor(
      'Redis',
      async () => (await send(gateway, { key: SECRET, idempotent: 'back' })).status === 200,
    )
  })
})

describe.skipIf(POSTGRES_FOLDER === null)('gateways with one Postgres', () => {
  let postgres: PostgresServer
  beforeEach(async () => {
    postgres = await startPostgres()
    onClose(() => postgres.close())
  })

  it.each([false, true])(
    '50 duplicates at two of them: one call, the same bytes (stream: %s)',
    async (stream) => {
      const url = await postgres.createDatabase()
      const storage = { storage: { url: 'env:DATABASE_URL' } }
      const env = { DATABASE_URL: url, TOLLGATE_HASH_KEY: HASH_KEY }
      const fleet = await Promise.all(
        [1, 2].map(() => startGateway({ config: fleetConfig(storage), env })),
      )
      const asked = { key: SECRET, idempotent: 'once', stream }
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, i) => send(inTurn(fleet, i), asked)),
      )
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
      expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
      expect((await sandbox.bill()).items).toHaveLength(1)
    },
  )
})
