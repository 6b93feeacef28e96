import { collectDefaultMetrics, Registry } from 'prom-client'
import type { CountingSink } from '../../contracts/recorder.ts'
import type { TargetSignals } from '../../contracts/routing.ts'
import type { LedgerBacklog, LedgerWriter } from '../../contracts/store.ts'
import { type Clock, SYSTEM_CLOCK } from '../../lib/clock.ts'
import { boundedLabel, counterFamily, type Family, gaugeFamily } from './families.ts'
import { type WorkerFigures, workerFamilies } from './worker-metrics.ts'
import { createRequestMetrics } from './request-metrics.ts'
import { targetGauges } from './target-gauges.ts'

const MOST_LIMITS = 300

export type PrometheusOptions = {
  readonly version: string
  readonly commit?: string
  /** Null: no ledger, and no metrics of one. */
  readonly ledger: Pick<LedgerWriter, 'pending' | 'healthy' | 'backlog'> | null
  /** Read at each scrape. */
  readonly gauges: {
    readonly requestsInFlight: () => number
    readonly openReservations: () => number
    readonly keys: () => number
    /** Absent: nothing is noted of them. */
    readonly targets?: () => readonly (TargetSignals & { readonly target: string })[]
    /** Absent: limits are counted in this process only. */
    readonly gateBackendUp?: () => number
  }
  /** Absent, or null: this process answers requests itself. */
  readonly workers?: () => WorkerFigures | null
  /** Distinct models with series of their own. Default 100; later ones count as `other`. */
  readonly mostModels?: number
  readonly clock?: Clock
  /** Metrics of the process and of Node. Default true; costs a timer and an observer. */
  readonly processMetrics?: boolean
}

export type PrometheusExporter = {
  readonly sink: CountingSink
  readonly contentType: string
  readonly render: () => Promise<string>
  readonly countConfigReload: (result: 'applied' | 'rejected') => void
  /** What a limit that only watches (`warn`, `shadow`) would have refused. */
  readonly countExcused: (limit: string, mode: string) => void
  /** Events dropped for a slow reader of the event stream. */
  readonly countDroppedEvents: (count: number) => void
}

/**
 * Own plain counters for requests, because prom-client hashes a label object per increment; prom-client for the
 * process. A record costs the sink about a microsecond: bench/ledger.ts.
 */
export function createPrometheusExporter(options: PrometheusOptions): PrometheusExporter {
  const requests = createRequestMetrics(options.mostModels ?? 100)
  const reloads = counterFamily('tollgate_config_reloads_total', 'Reloads of the configuration.')
  const dropped = counterFamily('tollgate_events_dropped_total', 'Events lost by slow readers.')
  const excused = counterFamily(
    'tollgate_limit_excused_total',
    'Requests that a limit would have refused if it did more than watch.',
  )
  const excusedLimit = boundedLabel(MOST_LIMITS)
  const droppedCell = dropped.cell({})
  // Series that exist from the start let an alert see the first increase.
  reloads.cell({ result: 'applied' })
  reloads.cell({ result: 'rejected' })
  const families = [
    ...requests.families,
    reloads,
    dropped,
    excused,
    ...gauges(options),
    buildInfo(options),
  ]
  if (options.workers !== undefined) families.push(workerFamilies(options.workers))
  const registry = new Registry()
  if (options.processMetrics ?? true) collectDefaultMetrics({ register: registry })
  return {
    sink: requests.sink,
    contentType: registry.contentType,
    async render() {
      const own = families.map((family) => family.render()).join('')
      return own + (await registry.metrics())
    },
    countConfigReload(result) {
      reloads.cell({ result }).value += 1
    },
    countExcused(limit, mode) {
      excused.cell({ limit: excusedLimit(limit), mode }).value += 1
    },
    countDroppedEvents(count) {
      droppedCell.value += count
    },
  }
}

function gauges(options: PrometheusOptions): readonly Family[] {
  const { requestsInFlight, openReservations, keys } = options.gauges
  const families = [
    gaugeFamily('tollgate_requests_in_flight', 'Requests being answered.', requestsInFlight),
    gaugeFamily('tollgate_reservations_open', 'Reservations not yet settled.', openReservations),
    gaugeFamily('tollgate_keys', 'Virtual keys.', keys),
  ]
  const { gateBackendUp } = options.gauges
  if (gateBackendUp !== undefined) {
    const help = '1 while the server of shared limits answers.'
    families.push(gaugeFamily('tollgate_gate_backend_up', help, gateBackendUp))
  }
  const { ledger, clock = SYSTEM_CLOCK } = options
  if (options.gauges.targets !== undefined) {
    families.push(...targetGauges(options.gauges.targets, clock))
  }
  if (ledger === null) return families
  return [
    ...families,
    gaugeFamily('tollgate_ledger_pending_records', 'Records not yet committed.', () => {
      return ledger.backlog?.().records ?? ledger.pending().length
    }),
    gaugeFamily(
      'tollgate_ledger_lag_seconds',
      'Age of the oldest record not yet committed.',
      () => {
        const backlog = ledger.backlog?.()
        if (backlog !== undefined) return secondsSince(backlog.oldestAtMs, clock.wallMs())
        const [oldest] = ledger.pending()
        if (oldest === undefined) return 0
        return Math.max(0, clock.wallMs() - oldest.startedAtMs - oldest.latencyMs) / 1000
      },
    ),
    gaugeFamily('tollgate_ledger_healthy', '1 while records can be written.', () => {
      return ledger.healthy() ? 1 : 0
    }),
    ...backlogGauges(ledger),
  ]
}

function backlogGauges(ledger: Pick<LedgerWriter, 'backlog'>): readonly Family[] {
  if (ledger.backlog === undefined) return []
  const read = (of: (backlog: LedgerBacklog) => number) => (): number => {
    const backlog = ledger.backlog?.()
    return backlog === undefined ? 0 : of(backlog)
  }
  return [
    gaugeFamily(
      'tollgate_ledger_spool_bytes',
      'Records on disk for the database.',
      read(({ bytes }) => bytes),
    ),
    gaugeFamily(
      'tollgate_ledger_spool_max_bytes',
      'The spool is full at so many.',
      read(({ maxBytes }) => maxBytes),
    ),
    gaugeFamily(
      'tollgate_store_up',
      '1 while the database takes records.',
      read(({ problem }) => (problem === null ? 1 : 0)),
    ),
  ]
}

function secondsSince(atMs: number | null, nowMs: number): number {
  return atMs === null ? 0 : Math.max(0, nowMs - atMs) / 1000
}

function buildInfo({ version, commit }: PrometheusOptions): Family {
  const family = counterFamily('tollgate_build_info', 'Always 1; the labels say what runs.')
  family.cell({ version, commit: commit ?? 'unknown', node: process.version }).value = 1
  return { render: () => family.render().replace(' counter\n', ' gauge\n') }
}
