import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPrometheusExporter } from '../packages/gateway/src/exporters/prometheus/create-prometheus-exporter.ts'
import { SYSTEM_CLOCK } from '../packages/gateway/src/lib/clock.ts'
import { accessLogSink } from '../packages/gateway/src/observe/access-log.ts'
import { createEventBus } from '../packages/gateway/src/observe/event-bus.ts'
import { createLogger } from '../packages/gateway/src/observe/log.ts'
import { requestEventSink } from '../packages/gateway/src/observe/request-events.ts'
import { createSecretRegistry } from '../packages/gateway/src/observe/secret-registry.ts'
import { createStats } from '../packages/gateway/src/observe/stats.ts'
import { openSqliteStore } from '../packages/gateway/src/storage/sqlite/open-sqlite-store.ts'
import { usageRecord } from '../packages/gateway/src/testing/usage-record.ts'

/** Ledger and sinks: commits per second, main-thread µs per append, µs per sink. `node bench/ledger.ts` */
const ROUNDS = 5
const APPENDS = 20_000
const CALLS = 100_000

const records = Array.from({ length: 500 }, (_, i) =>
  usageRecord({
    keyId: `key_${i % 40}`,
    model: `model-${i % 12}`,
    provider: `provider-${i % 5}`,
    latencyMs: 200 + ((i * 37) % 4000),
    ttftMs: i % 2 === 0 ? 90 + (i % 300) : null,
    status: i % 25 === 0 ? 429 : 200,
    errorClass: i % 25 === 0 ? 'upstream_overloaded' : null,
  }),
)

await benchLedger('process', 64)
await benchLedger('process', 1)
await benchLedger('full', 64)
benchSinks()
process.exit(0)

async function benchLedger(durability: 'process' | 'full', parallel: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'tollgate-bench-'))
  const { store, ledger } = await openSqliteStore({
    path: join(directory, 't.db'),
    durability,
    chainKeys: ['a key of the benchmark'],
  })
  const waits: number[] = []
  const mainMs: number[] = []
  let next = 0
  const appends = parallel === 1 ? APPENDS / 10 : APPENDS
  ledger.countersFrom(() => [
    { counterKey: `key:${next % 40}`, state: '{"used":1234567,"start":1750000000000}' },
  ])
  async function client(): Promise<void> {
    while (next < appends) {
      const record = usageRecord({
        ...records[next % records.length],
        id: `rec_${durability}_${next++}`,
      })
      const startedMs = performance.now()
      const done = ledger.append(record)
      mainMs.push(performance.now() - startedMs)
      await done
      waits.push(performance.now() - startedMs)
    }
  }
  const cpu = performance.eventLoopUtilization()
  const startedMs = performance.now()
  await Promise.all(Array.from({ length: parallel }, client))
  const elapsedMs = performance.now() - startedMs
  const busyMs = performance.eventLoopUtilization(cpu).active
  waits.sort((a, b) => a - b)
  print(`ledger ${durability}, ${parallel} in parallel`, {
    'records/s': Math.round((appends / elapsedMs) * 1000),
    'append call µs': (mainMs.reduce((sum, ms) => sum + ms, 0) / appends) * 1000,
    'main thread µs': (busyMs / appends) * 1000,
    'wait p50 ms': waits[Math.floor(waits.length * 0.5)] ?? 0,
    'wait p99 ms': waits[Math.floor(waits.length * 0.99)] ?? 0,
    'wait max ms': waits.at(-1) ?? 0,
  })
  await store.close()
  rmSync(directory, { recursive: true })
}

function benchSinks(): void {
  const secrets = createSecretRegistry()
  for (let i = 0; i < 20; i++) secrets.add(`sk-secret-${i}-abcdefghijklmnopqrstuvwxyz`)
  let bytes = 0
  const logger = createLogger({
    level: 'info',
    format: 'json',
    secrets,
    write: (line) => {
      bytes += line.length
    },
  })
  const stats = createStats({ clock: SYSTEM_CLOCK })
  const exporter = createPrometheusExporter({
    version: '0',
    ledger: null,
    gauges: { requestsInFlight: () => 0, openReservations: () => 0, keys: () => 0 },
    processMetrics: false,
  })
  const sinks = {
    stats: stats.sink,
    prometheus: exporter.sink,
    events: requestEventSink(createEventBus(SYSTEM_CLOCK)),
    'access log (info)': accessLogSink(logger),
  }
  for (const [name, sink] of Object.entries(sinks)) print(name, { µs: bestMicroseconds(sink) })
  logger.setLevel('warn')
  print('access log (off)', { µs: bestMicroseconds(accessLogSink(logger)) })
  const startedMs = performance.now()
  stats.view()
  print('stats view', { ms: performance.now() - startedMs, 'log bytes': bytes })
}

function bestMicroseconds(sink: (record: (typeof records)[number]) => void): number {
  let best = Infinity
  for (let round = 0; round < ROUNDS; round++) {
    const startedMs = performance.now()
    for (let i = 0; i < CALLS; i++) {
      const record = records[i % records.length]
      if (record !== undefined) sink(record)
    }
    best = Math.min(best, ((performance.now() - startedMs) / CALLS) * 1000)
  }
  return best
}

function print(name: string, figures: Readonly<Record<string, number>>): void {
  const text = Object.entries(figures).map(
    ([unit, value]) => `${unit} ${Number(value.toPrecision(3))}`,
  )
  console.log(`${name.padEnd(32)} ${text.join('   ')}`)
}
