import type { Server } from 'node:http'
import { availableParallelism } from 'node:os'
import type { Core } from './compose-core.ts'
import type { Workers } from './compose-workers.ts'
import type { GatewayConfig } from './config/gateway-config.ts'
import type { LoadOptions } from './config/load-config.ts'
import type { AnswerStore } from './contracts/answer-store.ts'
import type { RecordIntake } from './contracts/recorder.ts'
import type { TargetControl } from './control-plane/control.ts'
import { createListener } from './data-plane/http/listener.ts'
import type { DataPlane } from './data-plane/pipeline/data-plane.ts'
import { drainable } from './drain-server.ts'
import type { Readiness } from './lib/readiness.ts'
import type { RootLogger } from './observe/log.ts'
import type { PrometheusExporter } from './exporters/prometheus/create-prometheus-exporter.ts'

/** The processes that answer requests. Null: this one does, or they have not been started yet. */
export type Front = { workers: Workers | null }

export type Proxy = {
  readonly proxyUrl: string
  /** Takes nothing new, and ends what is left after the grace. */
  readonly drain: (graceMs: number) => Promise<void>
}

export type ProxyParts = {
  readonly dataPlane: DataPlane
  readonly intake: RecordIntake
  readonly metrics: PrometheusExporter
  readonly log: RootLogger
  readonly load: LoadOptions
  readonly logFormat: 'json' | 'pretty'
  readonly answers: AnswerStore
  readonly sandboxUrl: string | null
}

/** Answers requests, here or in workers. Throws the listener's error. */
export async function openProxy(core: Core, front: Front, parts: ProxyParts): Promise<Proxy> {
  const { config } = core.loaded()
  const count = workerCount(config)
  if (count === 1) return await openHere(config, parts.dataPlane)
  const { startWorkers } = await import('./compose-workers.ts')
  const { recorder, readiness, openCalls } = parts.dataPlane
  const workers = await startWorkers({
    ...parts,
    core,
    count,
    recorder,
    readiness,
    journal: openCalls !== null,
  })
  front.workers = workers
  return { proxyUrl: workers.proxyUrl, drain: (graceMs) => workers.pool.stop(graceMs) }
}

export function targetsOf({ targets }: Core, { workers }: Front): TargetControl {
  return workers?.targets ?? targets.control
}

export function inFlightOf({ workers }: Front): number {
  return (workers?.pool.reports() ?? []).reduce((sum, { inFlight }) => sum + inFlight, 0)
}

export function workersReadiness({ workers }: Front): Readiness {
  return workers === null ? {} : { workers: workers.pool.problem() }
}

function workerCount({ server: { workers } }: GatewayConfig): number {
  return workers === 'auto' ? availableParallelism() : workers
}

async function openHere({ server }: GatewayConfig, dataPlane: DataPlane): Promise<Proxy> {
  const proxy = createListener(dataPlane)
  const drain = drainable(proxy)
  return { proxyUrl: await listen(proxy, server.host, server.port), drain }
}

function listen(server: Server, host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      const address = server.address()
      const bound = address === null || typeof address === 'string' ? port : address.port
      resolve(`http://${host.includes(':') ? `[${host}]` : host}:${bound}`)
    })
  })
}
