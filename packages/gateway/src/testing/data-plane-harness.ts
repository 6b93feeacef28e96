import { type IncomingHttpHeaders, request as httpRequest, type Server } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { Gate } from '../contracts/limit.ts'
import type { ModelCatalogue } from '../contracts/catalogue.ts'
import type { Recorder } from '../contracts/recorder.ts'
import type { UsageRecord } from '../contracts/usage-record.ts'
import { IdempotentCalls } from '../data-plane/idempotency/idempotent-calls.ts'
import { createListener } from '../data-plane/http/listener.ts'
import { createMemoryGate } from '../data-plane/limits/memory-gate.ts'
import type { DataPlane, UsageNotice } from '../data-plane/pipeline/data-plane.ts'
import { Rewards } from '../data-plane/routing/reward.ts'
import { Rotations } from '../data-plane/routing/rotations.ts'
import { WrongKeys } from '../data-plane/stages/wrong-keys.ts'
import { WarmCaches } from '../data-plane/routing/warm-caches.ts'
import { ThompsonBandit, USUAL_FORGETTING } from '../data-plane/routing/thompson-bandit.ts'
import { RetryBudgets } from '../data-plane/routing/retry-budget.ts'
import { MemoryTargetBook, type TargetChange } from '../data-plane/routing/target-book.ts'
import { UpstreamPools } from '../data-plane/upstream/pools.ts'
import { type SilenceLimits, Watchdog } from '../data-plane/upstream/watchdog.ts'
import { GatewayError } from '../errors/gateway-error.ts'
import { SYSTEM_CLOCK } from '../lib/clock.ts'
import { hashKeySecret } from '../lib/virtual-key.ts'
import type { PlanInput } from '../plan/compile-plan.ts'
import { KeyRing } from '../plan/key-ring.ts'
import { testKey, testPlan } from '../plan/testing/plan-fixtures.ts'
import { PROTOCOLS } from '../registry.ts'
import { createTokenCounter } from '../tokenizers/token-counter.ts'
import { type MemoryAnswers, memoryAnswers } from './memory-answers.ts'

export type Config = Readonly<Record<string, unknown>>

export type HarnessOptions = {
  /** Where the provider `up` is; it speaks both protocols and is the default for every model name. */
  readonly upstreamUrl: string
  readonly provider?: Config
  /** Laid over the default configuration, section by section. */
  readonly config?: Config
  readonly keyPolicy?: Config
  readonly silence?: SilenceLimits
  /** What targets show has consequences. Off, so that a test may see one failure after the other. */
  readonly health?: boolean
  readonly pools?: UpstreamPools
  /** Another catalogue or environment to compile the configuration with. */
  readonly plan?: Partial<PlanInput>
}

/** The real listener and pipeline before any upstream, with everything that they leave behind in reach. */
export type Harness = {
  readonly port: number
  readonly url: string
  /** A virtual key that exists. */
  readonly secret: string
  readonly records: UsageRecord[]
  readonly errors: unknown[]
  /** What became of targets. */
  readonly changes: TargetChange[]
  /** Whole answers that did not say what they came to. */
  readonly noUsage: UsageNotice[]
  readonly targets: MemoryTargetBook
  readonly gate: Gate
  readonly dataPlane: DataPlane
  readonly server: Server
  readonly answers: MemoryAnswers
  /** False: the ledger cannot be written. */
  setHealthy(healthy: boolean): void
  close(): Promise<void>
}

const HASH_KEY = 'a hash key of the tests'
const SECRET = 'tkn_0000000000000000000000000000000000000000000'
/** Every request holds a reservation, so that one that is never closed shows. */
const LIMITS = [
  { id: 'requests', scope: 'key', unit: 'requests', algorithm: 'fixed', amount: 1e9, window: '1h' },
  { id: 'tokens', scope: 'key', unit: 'tokens', algorithm: 'fixed', amount: 1e12, window: '1h' },
  { id: 'parallel', scope: 'key', unit: 'concurrent', algorithm: 'concurrent', amount: 1e6 },
]
const NO_MODELS: ModelCatalogue = { find: () => null, modelsOf: () => [] }

export async function startHarness(options: HarnessOptions): Promise<Harness> {
  const plan = testPlan(configOf(options), { models: NO_MODELS, env: {}, ...options.plan })
  const keyRing = new KeyRing({ hashKeys: [HASH_KEY], plan })
  const hash = hashKeySecret(HASH_KEY, SECRET)
  keyRing.put(testKey({ hash, policy: { ...options.keyPolicy } }))
  const gate = createMemoryGate({ clock: SYSTEM_CLOCK, onAlert: () => {} })
  const records: UsageRecord[] = []
  const errors: unknown[] = []
  const changes: TargetChange[] = []
  const noUsage: UsageNotice[] = []
  const recorder = memoryRecorder(records)
  const answers = memoryAnswers()
  const targets = new MemoryTargetBook({
    breaker: () => plan.health.breaker,
    onChange: (change) => void changes.push(change),
  })
  const dataPlane: DataPlane = {
    protocols: PROTOCOLS,
    plan: () => plan,
    findKey: (secret, nowMs) => keyRing.find(secret, nowMs),
    wrongKeys: new WrongKeys(),
    gate,
    recorder,
    openCalls: null,
    idempotent: new IdempotentCalls(answers),
    tokenCounter: createTokenCounter({ memoBytes: 1 << 20 }),
    targets: options.health === true ? targets : null,
    retries: new RetryBudgets(),
    bandit: new ThompsonBandit(() => USUAL_FORGETTING),
    rewards: new Rewards(),
    warmCaches: new WarmCaches(),
    takeFeedback: () => Promise.resolve(null),
    rotations: new Rotations(),
    pools: options.pools ?? new UpstreamPools(),
    watchdog: new Watchdog(options.silence),
    clock: SYSTEM_CLOCK,
    load: { inFlight: 0 },
    onError: (error) => void errors.push(error),
    onRefusal: () => {},
    onNoUsage: (notice) => void noUsage.push(notice),
    readiness: () => ({ ledger: recorder.healthy() ? null : 'usage cannot be recorded' }),
  }
  const server = createListener(dataPlane)
  const port = await listen(server)
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    secret: SECRET,
    records,
    errors,
    changes,
    noUsage,
    targets,
    gate,
    dataPlane,
    server,
    answers,
    setHealthy: (healthy) => recorder.setHealthy(healthy),
    async close() {
      server.close()
      server.closeAllConnections()
      await dataPlane.pools.close()
      await dataPlane.tokenCounter.close()
    },
  }
}

function configOf(options: HarnessOptions): Config {
  return {
    providers: {
      up: {
        protocol: ['openai-chat', 'anthropic-messages'],
        base_url: options.upstreamUrl,
        credential: 'env:LOCAL_KEY',
        auth: { kind: 'bearer' },
        allow_private: true,
        ...options.provider,
      },
    },
    policy: { default_provider: 'up', limits: LIMITS },
    ...options.config,
  }
}

function memoryRecorder(records: UsageRecord[]): Recorder & { setHealthy(healthy: boolean): void } {
  let isHealthy = true
  return {
    async record(record) {
      if (!isHealthy) throw new GatewayError('ledger_unavailable', 'Usage cannot be recorded now.')
      records.push(record)
    },
    healthy: () => isHealthy,
    setHealthy(healthy) {
      isHealthy = healthy
    },
  }
}

/** What must hold once every request has ended, however it ended. */
export function leftovers(harness: Harness): Readonly<Record<string, number>> {
  return {
    openReservations: harness.gate.openReservations(),
    inFlight: harness.dataPlane.load.inFlight,
    errors: harness.errors.length,
  }
}

export const NOTHING_LEFT: Readonly<Record<string, number>> = {
  openReservations: 0,
  inFlight: 0,
  errors: 0,
}

export type Asked = {
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}

export type Answered = {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** The connection ended before the answer was whole. */
  readonly aborted: boolean
}

/** One request on a connection of its own, with a valid key unless `authorization` says otherwise. */
export function ask(harness: Harness, asked: Asked): Promise<Answered> {
  const headers = {
    authorization: `Bearer ${harness.secret}`,
    'content-type': 'application/json',
    ...asked.headers,
  }
  return new Promise((resolve, reject) => {
    const req = httpRequest(
      {
        port: harness.port,
        host: '127.0.0.1',
        method: asked.method ?? 'POST',
        path: asked.path ?? '/v1/chat/completions',
        headers,
        agent: false,
      },
      (res) => {
        const chunks: Buffer[] = []
        const done = (aborted: boolean): void =>
          resolve({
            status: res.statusCode ?? 0,
            headers: res.headers,
            body: Buffer.concat(chunks),
            aborted,
          })
        res.on('data', (chunk: Buffer) => chunks.push(chunk))
        res.on('end', () => done(false))
        res.on('error', () => done(true))
      },
    )
    req.on('error', reject)
    req.end(asked.body)
  })
}

/** A client connection that keeps whatever comes. */
export type RawClient = {
  readonly socket: Socket
  readonly text: () => string
  readonly bytes: () => Buffer
  readonly ended: () => boolean
  readonly closed: Promise<void>
}

export async function openRaw(port: number): Promise<RawClient> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  const chunks: Buffer[] = []
  let ended = false
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.on('end', () => (ended = true))
  socket.on('error', () => {})
  const closed = new Promise<void>((resolve) => {
    socket.on('close', () => {
      ended = true
      resolve()
    })
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  const bytes = (): Buffer => Buffer.concat(chunks)
  return { socket, bytes, text: () => bytes().toString('latin1'), ended: () => ended, closed }
}

/** A request's bytes with its length. */
export function rawPost(harness: Harness, body: string, path = '/v1/chat/completions'): string {
  return (
    `POST ${path} HTTP/1.1\r\nhost: gw.test\r\nauthorization: Bearer ${harness.secret}\r\n` +
    `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  )
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })
}
