// `npm run bench`: Tollgate beside the bare relay, interleaved in one run. Ratios and medians; machines are noisy.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type LoadResult, load } from './load.ts'

const ROOT = path.join(import.meta.dirname, '..')
const quick = process.argv.includes('--quick')
/** Only what workers cost beside one process. */
const workersOnly = process.argv.includes('--workers')
const ROUNDS = quick ? 3 : 5
const ROUND_MS = quick ? 1500 : 3000
/**
 * Compiling ends after some 20,000 requests. The relay has little to compile, so a short warm-up would flatter it. Each
 * worker compiles for itself.
 */
const WARM_ROUNDS = (quick ? 2 : 3) * (workersOnly ? 3 : 1)
const CONNECTIONS = 32
const WORDS = 'The quick brown fox jumps over the lazy dog. '
const messages = Array.from({ length: 12 }, (_, i) => ({
  role: i % 2 === 0 ? 'user' : 'assistant',
  content: WORDS.repeat(7) + i,
}))
const BODY = JSON.stringify({
  model: 'bench/gpt-4o-mini',
  messages,
  temperature: 0.7,
  max_tokens: 256,
})
const STREAM_BODY = JSON.stringify({
  model: 'bench/gpt-4o-mini',
  messages,
  stream: true,
  stream_options: { include_usage: true },
})

type Subject = {
  readonly name: string
  readonly port: number
  readonly key: string
  readonly pid: number
}

const started: ChildProcess[] = []
const folders: string[] = []

async function main(): Promise<void> {
  const upstream = await startScript('mock-upstream.ts', [])
  if (workersOnly) return await compareWorkers(upstream.port)
  // On processes of their own: load leaves a heap that hides what idle streams take, and the other way round.
  if (!quick) await afterIdleStreams(upstream.port)
  const subjects = await startSubjects(upstream.port)
  const direct: Subject = { name: 'direct', ...upstream, key: 'none' }
  await throughput('JSON, 4 KB body, 32 connections', subjects, BODY)
  await throughput('stream of 50 events, 32 connections', subjects, STREAM_BODY)
  await latency('latency at half load (JSON)', subjects, BODY)
  await firstByte([direct, ...subjects])
}

/** The row beside the others: what is left of many open streams. Their processes end before the rest is measured. */
async function afterIdleStreams(upstreamPort: number): Promise<void> {
  const before = started.length
  const subjects = await startSubjects(upstreamPort)
  await idleStreams(subjects)
  await throughput('JSON after 2,000 streams were open', subjects, BODY)
  for (const child of started.splice(before)) {
    child.removeAllListeners('exit')
    child.kill('SIGKILL')
  }
}

async function startSubjects(upstreamPort: number): Promise<readonly Subject[]> {
  const relay = await startScript('bare-relay.ts', [String(upstreamPort)])
  return [
    { name: 'bare relay', ...relay, key: 'none' },
    await startTollgate('everything off', upstreamPort, OFF),
    await startTollgate('auth, four limits, ledger', upstreamPort, ON),
    await startTollgate('the same, two workers', upstreamPort, { ...ON, ...TWO_WORKERS }),
  ]
}

async function compareWorkers(upstreamPort: number): Promise<void> {
  const subjects = [
    await startTollgate('one process', upstreamPort, ON),
    await startTollgate('two workers', upstreamPort, { ...ON, ...TWO_WORKERS }),
    await startTollgate('one process, everything off', upstreamPort, OFF),
    await startTollgate('two workers, everything off', upstreamPort, { ...OFF, ...TWO_WORKERS }),
  ]
  await throughput('JSON, 4 KB body, 32 connections', subjects, BODY)
  await throughput('stream of 50 events, 32 connections', subjects, STREAM_BODY)
  await latency('latency at half load (JSON)', subjects, BODY)
}

const TWO_WORKERS = { server: { port: 0, workers: 2 } }

/** Nothing that Tollgate could do for a request is done. */
const OFF = { keys: { required: false }, ledger: { enabled: false } }
const LIMITS = [
  {
    id: 'key-rpm',
    scope: 'key',
    unit: 'requests',
    algorithm: 'sliding',
    amount: 1e9,
    window: '1m',
  },
  { id: 'key-day', scope: 'key', unit: 'usd', algorithm: 'fixed', amount: 1e6, window: '24h' },
  {
    id: 'all-tokens',
    scope: 'global',
    unit: 'tokens',
    algorithm: 'bucket',
    capacity: 1e12,
    refill_per_sec: 1e9,
  },
  { id: 'key-par', scope: 'key', unit: 'concurrent', algorithm: 'concurrent', amount: 100_000 },
]
const ON = { policy: { limits: LIMITS } }

async function startScript(file: string, args: string[]): Promise<{ port: number; pid: number }> {
  const child = spawn(process.execPath, [path.join(ROOT, 'bench', file), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  started.push(child)
  const line = await firstLine(child, /listening (\d+)/)
  return { port: Number(line), pid: child.pid ?? 0 }
}

async function startTollgate(name: string, upstreamPort: number, config: object): Promise<Subject> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'tollgate-bench-'))
  folders.push(folder)
  const provider = {
    protocol: 'openai-chat',
    base_url: `http://127.0.0.1:${upstreamPort}/v1`,
    credential: 'none',
    allow_private: true,
  }
  const model = {
    targets: [{ provider: 'bench', model: 'gpt-4o-mini' }],
    price: { input: 0.15, output: 0.6 },
    max_output: 16_384,
    tokenizer: 'o200k_base',
  }
  const file = {
    server: { port: 0 },
    admin: { port: 0 },
    log: { level: 'warn' },
    providers: { bench: provider },
    models: { 'bench/gpt-4o-mini': model },
    ...config,
  }
  writeFileSync(path.join(folder, 'tollgate.json'), JSON.stringify(file))
  const program = path.join(ROOT, 'packages', 'gateway', 'src', 'main.ts')
  const child = spawn(process.execPath, [program, 'serve'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  started.push(child)
  await firstLine(child, /(tollgate ready)/)
  const runtime: unknown = JSON.parse(
    readFileSync(path.join(folder, '.tollgate', 'server.json'), 'utf8'),
  )
  const { proxy_url: proxyUrl, admin_url: adminUrl } = urlsOf(runtime)
  const token = readFileSync(path.join(folder, '.tollgate', 'admin.token'), 'utf8').trim()
  const created = await fetch(`${adminUrl}/admin/v1/keys`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: '{"name":"bench"}',
  })
  const answer: unknown = await created.json()
  return { name, port: Number(new URL(proxyUrl).port), key: keyOf(answer), pid: child.pid ?? 0 }
}

function urlsOf(value: unknown): { proxy_url: string; admin_url: string } {
  const text = (name: string) =>
    typeof value === 'object' && value !== null && name in value
      ? String(Reflect.get(value, name))
      : ''
  return { proxy_url: text('proxy_url'), admin_url: text('admin_url') }
}

function keyOf(value: unknown): string {
  const key: unknown =
    typeof value === 'object' && value !== null ? Reflect.get(value, 'key') : null
  if (typeof key !== 'string') throw new Error(`no key was created: ${JSON.stringify(value)}`)
  return key
}

function firstLine(child: ChildProcess, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8')
      const found = pattern.exec(text)
      if (found !== null) resolve(found[1] ?? '')
    })
    child.on('exit', (code) => reject(new Error(`ended with ${code}: ${text}`)))
  })
}

async function fire(subject: Subject, body: string, rate: number | null): Promise<LoadResult> {
  return load({
    port: subject.port,
    path: '/v1/chat/completions',
    key: subject.key,
    body,
    connections: CONNECTIONS,
    durationMs: ROUND_MS,
    rate,
  })
}

/** CPU of a process and those that it has started so far, in microseconds; null where the system does not tell. */
function cpuMicros(pid: number): number | null {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    const own = (Number(fields[11]) + Number(fields[12])) * 10_000
    return childrenOf(pid).reduce((sum, child) => sum + (cpuMicros(child) ?? 0), own)
  } catch {
    return null
  }
}

function childrenOf(pid: number): readonly number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return text === '' ? [] : text.split(' ').map(Number)
}

async function throughput(
  title: string,
  subjects: readonly Subject[],
  body: string,
): Promise<void> {
  for (let round = 0; round < WARM_ROUNDS; round++) {
    for (const subject of subjects) await fire(subject, body, null)
  }
  const rates = new Map<string, number[]>()
  const cpus = new Map<string, number[]>()
  for (let round = 0; round < ROUNDS; round++) {
    for (const subject of subjects) {
      const before = cpuMicros(subject.pid)
      const result = await fire(subject, body, null)
      const after = cpuMicros(subject.pid)
      if (result.failures > 0) throw new Error(`${subject.name}: ${result.failures} failures`)
      push(rates, subject.name, result.perSecond)
      if (before !== null && after !== null)
        push(cpus, subject.name, (after - before) / result.requests)
    }
  }
  const base = rates.get(subjects[0]?.name ?? '') ?? []
  const rows = subjects.map(({ name }) => {
    const own = rates.get(name) ?? []
    const ratios = own.map((rate, i) => rate / (base[i] ?? 1))
    return {
      subject: name,
      'requests/s': Math.round(median(own)),
      'ratio to bare': median(ratios).toFixed(2),
      'ratio min..max': `${Math.min(...ratios).toFixed(2)}..${Math.max(...ratios).toFixed(2)}`,
      'CPU µs/request': Math.round(median(cpus.get(name) ?? [])),
    }
  })
  print(title, rows)
}

async function latency(title: string, subjects: readonly Subject[], body: string): Promise<void> {
  const slowest = subjects.at(-1)
  if (slowest === undefined) return
  const full = await fire(slowest, body, null)
  const rate = full.perSecond / 2
  const samples = new Map<string, number[]>()
  for (let round = 0; round < ROUNDS; round++) {
    for (const subject of subjects) {
      const result = await fire(subject, body, rate)
      push(samples, subject.name, percentile(result.latenciesMs, 0.5))
      push(samples, `${subject.name} p99`, percentile(result.latenciesMs, 0.99))
    }
  }
  const base = median(samples.get(subjects[0]?.name ?? '') ?? [])
  const rows = subjects.map(({ name }) => ({
    subject: name,
    'p50 ms': median(samples.get(name) ?? []).toFixed(3),
    'added p50 ms': (median(samples.get(name) ?? []) - base).toFixed(3),
    'p99 ms': median(samples.get(`${name} p99`) ?? []).toFixed(2),
  }))
  print(`${title}, ${Math.round(rate)} requests/s`, rows)
}

async function firstByte(subjects: readonly Subject[]): Promise<void> {
  const samples = new Map<string, number[]>()
  for (let round = 0; round < ROUNDS; round++) {
    for (const subject of subjects) {
      const result = await fire(subject, STREAM_BODY, 100)
      push(samples, subject.name, percentile(result.firstByteMs, 0.5))
    }
  }
  const base = median(samples.get(subjects[0]?.name ?? '') ?? [])
  const rows = subjects.map(({ name }) => ({
    subject: name,
    'first byte p50 ms': median(samples.get(name) ?? []).toFixed(3),
    'later than direct ms': (median(samples.get(name) ?? []) - base).toFixed(3),
  }))
  print('first byte of a stream, 100 streams/s', rows)
}

const IDLE_STREAMS = 2000

/** Memory of streams that have begun and then say nothing. */
async function idleStreams(subjects: readonly Subject[]): Promise<void> {
  const body = JSON.stringify({ ...JSON.parse(STREAM_BODY), user: 'idle' })
  const rows = []
  for (const subject of subjects) {
    const before = residentBytes(subject.pid)
    const open = await openIdle(subject, body, IDLE_STREAMS)
    await new Promise((resolve) => setTimeout(resolve, 2000))
    const after = residentBytes(subject.pid)
    for (const socket of open) socket.destroy()
    rows.push({
      subject: subject.name,
      'idle streams': open.length,
      'KiB each': ((after - before) / 1024 / open.length).toFixed(1),
    })
    await new Promise((resolve) => setTimeout(resolve, 1000))
  }
  print('idle streams, resident memory', rows)
}

async function openIdle(subject: Subject, body: string, count: number) {
  const { connect } = await import('node:net')
  const request =
    `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:${subject.port}\r\nauthorization: Bearer ${subject.key}\r\n` +
    `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  const sockets = []
  for (let i = 0; i < count; i += 50) {
    const batch = Array.from({ length: Math.min(50, count - i) }, () => {
      const socket = connect(subject.port, '127.0.0.1', () => socket.write(request))
      socket.on('error', () => {})
      return new Promise<typeof socket>((resolve) => socket.once('data', () => resolve(socket)))
    })
    sockets.push(...(await Promise.all(batch)))
  }
  return sockets
}

function residentBytes(pid: number): number {
  try {
    const own = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4096
    return childrenOf(pid).reduce((sum, child) => sum + residentBytes(child), own)
  } catch {
    return Number.NaN
  }
}

function push(map: Map<string, number[]>, name: string, value: number): void {
  const list = map.get(name) ?? []
  list.push(value)
  map.set(name, list)
}

function median(values: readonly number[]): number {
  return percentile(values, 0.5)
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

function print(title: string, rows: readonly object[]): void {
  console.log(`\n${title}`)
  console.table(rows)
}

try {
  await main()
} finally {
  for (const child of started) child.kill('SIGKILL')
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
}
