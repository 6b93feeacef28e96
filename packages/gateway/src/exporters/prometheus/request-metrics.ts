import type { CountingSink } from '../../contracts/recorder.ts'
import type { CountedRecord } from '../../contracts/record-facts.ts'
import {
  boundedLabel,
  type Cell,
  counterFamily,
  type Family,
  type HistogramCell,
  histogramFamily,
  observe,
} from './families.ts'

/** Model calls take from a tenth of a second to many minutes. Seconds. */
const DURATION_BOUNDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600]
const FIRST_TOKEN_BOUNDS = [0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12, 30, 60]
/** What the gateway adds is far below a millisecond when all is well. */
const OVERHEAD_BOUNDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1]
const NANO_PER_USD = 1e9
/** Combinations whose cells are remembered; beyond, the memory starts anew. */
const MOST_HANDLES = 5000

/** The cells that one kind of request adds to, looked up once per kind. */
type Handles = {
  readonly requests: Cell
  readonly duration: HistogramCell
  readonly firstToken: HistogramCell
  readonly overhead: HistogramCell
  readonly input: Cell
  readonly output: Cell
  readonly cacheRead: Cell
  readonly cacheWrite5m: Cell
  readonly cacheWrite1h: Cell
  readonly reasoning: Cell
  readonly cost: Cell
  readonly saved: Cell
  readonly unpriced: Cell
  readonly estimated: Cell
}

const LIMIT_CODES: ReadonlySet<string> = new Set([
  'rate_limit_exceeded',
  'budget_exceeded',
  'request_exceeds_limit',
])

export type RequestMetrics = { readonly sink: CountingSink; readonly families: readonly Family[] }

/** `mostModels` bounds the distinct models; providers, targets and limits come from the configuration but are bounded too. */
export function createRequestMetrics(mostModels: number): RequestMetrics {
  const families = requestFamilies()
  const labels = requestLabels(mostModels)
  const remembered = new Map<string, Handles>()

  function handlesOf(record: CountedRecord): Handles {
    const kind = `${record.endpoint}\n${record.protocol}\n${record.status}\n${record.errorClass}\n${record.model}\n${record.provider}`
    const known = remembered.get(kind)
    if (known !== undefined) return known
    if (remembered.size >= MOST_HANDLES) remembered.clear()
    const made = makeHandles(record, families, labels)
    remembered.set(kind, made)
    return made
  }

  const attemptCells = new Map<string, Map<string, Cell>>()

  function attemptCell(name: string, error: string | null): Cell {
    const target = labels.target(name)
    const cells = attemptCells.get(target) ?? new Map<string, Cell>()
    attemptCells.set(target, cells)
    const errorClass = labels.errorClass(error)
    const cell = families.attempts.cell({ target, error_class: errorClass })
    cells.set(errorClass, cell)
    return cell
  }

  function countAttempts(record: CountedRecord): void {
    for (const { target, errorClass } of record.attempts) {
      const known = attemptCells.get(target)?.get(errorClass ?? 'none')
      const cell = known ?? attemptCell(target, errorClass)
      cell.value += 1
    }
  }

  /** Of a route that the plan had decided there is one candidate, which was not rejected. */
  function countRouting({ routing, model }: CountedRecord): void {
    if (routing === undefined || routing === null) return
    const { alias, candidates } = routing
    if (alias !== null) {
      const names = { alias: labels.alias(alias), model: labels.model(model) }
      families.aliases.cell(names).value += 1
    }
    for (let i = candidates.length - 1; i >= 0; i--) {
      const { target, rejected } = candidates[i] ?? { target: '', rejected: null }
      // The rejected ones stand behind the others.
      if (rejected === null) break
      families.rejections.cell({ target: labels.target(target), reason: rejected }).value += 1
    }
  }

  function countFailure(record: CountedRecord): void {
    const errorClass = labels.errorClass(record.errorClass)
    if (record.stream && !record.complete && record.attempts.length > 0) {
      families.streamAborts.cell({ error_class: errorClass }).value += 1
    }
    if (record.errorSource !== 'gateway' || !LIMIT_CODES.has(record.errorClass ?? '')) return
    for (const limit of record.limits) {
      families.refusals.cell({ limit: labels.limit(limit), error_class: errorClass }).value += 1
    }
  }

  return {
    families: Object.values(families),
    sink(record) {
      addRecord(handlesOf(record), record)
      countAttempts(record)
      countRouting(record)
      if (record.errorClass !== null) countFailure(record)
      if (record.cache !== null) {
        families.cache.cell({ result: labels.cache(record.cache) }).value += 1
      }
    },
  }
}

function addRecord(handles: Handles, record: CountedRecord): void {
  const { usage } = record
  handles.requests.value += 1
  observe(handles.duration, record.latencyMs / 1000)
  observe(handles.overhead, record.overheadMs / 1000)
  if (record.ttftMs !== null) observe(handles.firstToken, record.ttftMs / 1000)
  handles.input.value += usage.inputTokens ?? 0
  handles.output.value += usage.outputTokens ?? 0
  handles.cacheRead.value += usage.cacheReadTokens ?? 0
  handles.cacheWrite5m.value += usage.cacheWrite5mTokens ?? 0
  handles.cacheWrite1h.value += usage.cacheWrite1hTokens ?? 0
  handles.reasoning.value += usage.reasoningTokens ?? 0
  handles.cost.value += record.costNanoUsd ?? 0
  handles.saved.value += record.savedNanoUsd
  if (record.costNanoUsd === null && record.errorClass === null) handles.unpriced.value += 1
  if (record.estimated) handles.estimated.value += 1
}

type Families = ReturnType<typeof requestFamilies>
type LabelBounds = ReturnType<typeof requestLabels>

function makeHandles(record: CountedRecord, families: Families, labels: LabelBounds): Handles {
  const endpoint = labels.endpoint(record.endpoint)
  const protocol = labels.protocol(record.protocol)
  const upstream = { model: labels.model(record.model), provider: labels.provider(record.provider) }
  const tokens = (kind: string): Cell => families.tokens.cell({ kind, ...upstream })
  return {
    requests: families.requests.cell({
      endpoint,
      protocol,
      status: labels.status(String(record.status)),
      error_class: labels.errorClass(record.errorClass),
    }),
    duration: families.duration.cell({ endpoint, protocol }),
    firstToken: families.firstToken.cell(upstream),
    overhead: families.overhead.cell({ endpoint }),
    input: tokens('input'),
    output: tokens('output'),
    cacheRead: tokens('cache_read'),
    cacheWrite5m: tokens('cache_write_5m'),
    cacheWrite1h: tokens('cache_write_1h'),
    reasoning: tokens('reasoning'),
    cost: families.cost.cell(upstream),
    saved: families.saved.cell(upstream),
    unpriced: families.unpriced.cell(upstream),
    estimated: families.estimated.cell(upstream),
  }
}

type Bound = ReturnType<typeof boundedLabel>
type LabelName =
  | 'endpoint'
  | 'protocol'
  | 'status'
  | 'errorClass'
  | 'model'
  | 'provider'
  | 'target'
  | 'limit'
  | 'cache'
  | 'alias'

function requestLabels(mostModels: number): Readonly<Record<LabelName, Bound>> {
  return {
    endpoint: boundedLabel(40),
    protocol: boundedLabel(20),
    status: boundedLabel(60),
    errorClass: boundedLabel(80),
    model: boundedLabel(mostModels),
    provider: boundedLabel(60),
    target: boundedLabel(300),
    limit: boundedLabel(300),
    cache: boundedLabel(20),
    alias: boundedLabel(100),
  }
}

// oxlint-disable-next-line typescript/explicit-function-return-type, typescript/explicit-module-boundary-types -- the shape is the list
function requestFamilies() {
  return {
    requests: counterFamily('tollgate_requests_total', 'Requests answered, refused ones included.'),
    duration: histogramFamily(
      'tollgate_request_duration_seconds',
      'Time from the request to the last byte of its answer.',
      DURATION_BOUNDS,
    ),
    firstToken: histogramFamily(
      'tollgate_time_to_first_token_seconds',
      'Time from the request to the first token of a streamed answer.',
      FIRST_TOKEN_BOUNDS,
    ),
    overhead: histogramFamily(
      'tollgate_gateway_overhead_seconds',
      'Time spent in the gateway itself.',
      OVERHEAD_BOUNDS,
    ),
    tokens: counterFamily('tollgate_tokens_total', 'Tokens by kind; reasoning is part of output.'),
    cost: counterFamily(
      'tollgate_cost_usd_total',
      'Cost of priced requests in US dollars.',
      NANO_PER_USD,
    ),
    saved: counterFamily('tollgate_saved_usd_total', 'Cost avoided in US dollars.', NANO_PER_USD),
    unpriced: counterFamily(
      'tollgate_unpriced_requests_total',
      'Requests that succeeded and whose cost is unknown.',
    ),
    estimated: counterFamily(
      'tollgate_estimated_usage_requests_total',
      'Requests whose tokens the provider did not report.',
    ),
    refusals: counterFamily('tollgate_limit_refusals_total', 'Requests refused by a limit.'),
    attempts: counterFamily('tollgate_attempts_total', 'Calls of targets, by how they ended.'),
    rejections: counterFamily(
      'tollgate_target_rejections_total',
      'Targets that a request left out, by the reason.',
    ),
    aliases: counterFamily(
      'tollgate_alias_requests_total',
      'Requests for an alias, by the model that it came to.',
    ),
    streamAborts: counterFamily(
      'tollgate_stream_aborts_total',
      'Streams that ended before their end.',
    ),
    cache: counterFamily('tollgate_cache_requests_total', 'Requests by result of the cache.'),
  }
}
