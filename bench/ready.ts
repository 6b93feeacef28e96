import { Agent } from 'node:http'
import { readFileSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { askOf, call } from '../e2e/harness/call.ts'
import { closeAll } from '../e2e/harness/cleanup.ts'
import { tempFolder } from '../e2e/harness/folders.ts'
import { type Gateway, startGateway, writeConfig } from '../e2e/harness/gateway.ts'
import { startSandboxProcess } from '../e2e/harness/sandbox.ts'
import { composeCore } from '../packages/gateway/src/compose-core.ts'
import { loadConfig } from '../packages/gateway/src/config/load-config.ts'
import { usageRecord } from '../packages/gateway/src/testing/usage-record.ts'

/** From the start of the process to `tollgate ready`, over a ledger of many records. `node bench/ready.ts [records]` */
const RECORDS = Number(process.argv[2] ?? 1_000_000)
/** All of them within the 24 hours that statistics are restored for: the most work that a start can have. */
const OVER_MS = 24 * 3_600_000
const AT_ONCE = 2000
const STARTS = 7
const CLIENTS = 24
const LOAD_MS = 1500
/** After `tollgate ready`: how long calls take while the statistics are restored. */
const WATCH_MS = 20_000

const sandbox = await startSandboxProcess()
const config = {
  log: { level: 'warn' },
  providers: { local: sandbox.provider },
  policy: {
    default_provider: 'local',
    limits: [
      { id: 'life', scope: 'key', unit: 'tokens', algorithm: 'lifetime', amount: 1e12 },
      { id: 'day', scope: 'key', unit: 'requests', algorithm: 'fixed', amount: 1e9, window: '7d' },
    ],
  },
}
const folder = tempFolder()
writeConfig(folder, config)
const filledMs = await fill()
const sizeMb = statSync(path.join(folder, '.tollgate', 'tollgate.db')).size / 1e6
console.log(
  `${RECORDS} records, ${sizeMb.toFixed(0)} MB, written in ${(filledMs / 1000).toFixed(0)} s`,
)
const empty = tempFolder()
for (const [how, stop] of [
  ['clean stop', cleanStop],
  ['kill -9 under load', killUnderLoad],
] as const) {
  const both = await inTurns([empty, folder], stop)
  print(`an empty store, ${how}`, both.get(empty) ?? [])
  print(`${RECORDS} records, ${how}`, both.get(folder) ?? [])
}
await watchCalls()
await closeAll()
rmSync(folder, { recursive: true, force: true })

/** Through the store's own writer, so that the file is what a gateway would have left. */
async function fill(): Promise<number> {
  const startedMs = performance.now()
  const load = { cwd: folder, env: {} }
  const core = await composeCore({
    load,
    loaded: loadConfig(load),
    facts: [],
    onKeyProblem: () => {},
    serves: false,
    onStoreProblem: () => {},
  })
  const firstMs = Date.now() - OVER_MS
  for (let from = 0; from < RECORDS; from += AT_ONCE) {
    const many = Math.min(AT_ONCE, RECORDS - from)
    await Promise.all(
      Array.from({ length: many }, (_, i) => core.ledger.append(recordAt(from + i, firstMs))),
    )
  }
  await core.close()
  return performance.now() - startedMs
}

function recordAt(index: number, firstMs: number): ReturnType<typeof usageRecord> {
  return usageRecord({
    startedAtMs: Math.floor(firstMs + (index / RECORDS) * OVER_MS),
    keyId: `key_${index % 2000}`,
    model: `model-${index % 40}`,
    latencyMs: 200 + ((index * 37) % 4000),
    ttftMs: index % 2 === 0 ? 90 + (index % 300) : null,
  })
}

type Stop = (gateway: Gateway) => Promise<void>

type Start = { readonly readyMs: number; readonly cpuMs: number }

/** One start of each and then the next, so that noise of the machine meets all of them. */
async function inTurns(
  folders: readonly string[],
  stop: Stop,
): Promise<ReadonlyMap<string, readonly Start[]>> {
  const times = new Map<string, Start[]>(folders.map((one) => [one, []]))
  // The first start finds no code and no file in the cache of the system, and what another kind of stop left.
  for (let i = 0; i <= STARTS; i++) {
    for (const one of folders) {
      const gateway = await startGateway({ folder: one, config })
      const start = { readyMs: gateway.readyMs, cpuMs: cpuMsOf(gateway.child.pid) }
      if (i > 0) times.get(one)?.push(start)
      await stop(gateway)
    }
  }
  return times
}

/** User and system time of all threads so far; Linux only. See proc(5): hundredths of a second, fields 14 and 15. */
function cpuMsOf(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    return (Number(fields[11]) + Number(fields[12])) * 10
  } catch {
    return Number.NaN
  }
}

async function cleanStop({ child }: Gateway): Promise<void> {
  await child.stop()
}

async function killUnderLoad(gateway: Gateway): Promise<void> {
  const { key } = await gateway.admin.createKey()
  const agent = new Agent({ keepAlive: true })
  const client = async (_: unknown, index: number): Promise<void> => {
    for (;;) {
      const ask = askOf({ model: 'words-60+delay-1', stream: index % 2 === 0, maxTokens: 500 })
      const url = `${gateway.proxyUrl}${ask.path}`
      const { status } = await call(url, { key, body: ask.body, agent })
      if (status === 0) return
    }
  }
  const clients = Array.from({ length: CLIENTS }, client)
  setTimeout(() => gateway.child.kill('SIGKILL'), LOAD_MS)
  await gateway.child.exited
  await Promise.all(clients)
  agent.destroy()
}

async function watchCalls(): Promise<void> {
  const gateway = await startGateway({ folder })
  const { key } = await gateway.admin.createKey()
  const agent = new Agent({ keepAlive: true })
  const { path: url, body } = askOf({ model: 'words-5' })
  const waits: number[] = []
  const restored = { ms: Number.NaN }
  const startedMs = performance.now()
  while (performance.now() - startedMs < WATCH_MS && Number.isNaN(restored.ms)) {
    const answer = await call(`${gateway.proxyUrl}${url}`, { key, body, agent })
    if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`)
    waits.push(answer.ms)
    if (waits.length % 100 !== 0) continue
    const stats = await gateway.admin.get<{ windows: { '24h': { requests: number } } }>('/stats')
    if (stats.windows['24h'].requests >= RECORDS * 0.95) {
      restored.ms = performance.now() - startedMs
    }
  }
  agent.destroy()
  waits.sort((one, other) => one - other)
  const at = (share: number): string => (waits[Math.floor(waits.length * share)] ?? 0).toFixed(1)
  console.log(
    `right after: ${waits.length} calls one by one, first to last p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, slowest ${(waits.at(-1) ?? 0).toFixed(1)} ms; statistics restored after ${(restored.ms / 1000).toFixed(1)} s`,
  )
}

function print(what: string, starts: readonly Start[]): void {
  const ready = sorted(starts.map(({ readyMs }) => readyMs))
  const cpu = sorted(starts.map(({ cpuMs }) => cpuMs))
  const middle = Math.floor(starts.length / 2)
  console.log(
    `${what}: ready in ${Math.round(ready[middle] ?? Number.NaN)} ms (median of ${starts.length}), ${Math.round(ready.at(-1) ?? Number.NaN)} at most; ${cpu[middle]} ms of CPU`,
  )
}

function sorted(numbers: readonly number[]): readonly number[] {
  return numbers.toSorted((one, other) => one - other)
}
