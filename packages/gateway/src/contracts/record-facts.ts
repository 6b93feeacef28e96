import type { UsageRecord } from './usage-record.ts'

/**
 * What is counted of a record, as a JSON array: a fifth of the record, and quick to read. The first ones are the columns of the
 * record's row, in the order of storage/record-columns.ts.
 */
export type RecordFacts = readonly [
  startedAtMs: number,
  id: string,
  requestId: string,
  keyId: string | null,
  team: string | null,
  user: string | null,
  project: string | null,
  endpoint: string,
  model: string | null,
  provider: string | null,
  status: number,
  errorClass: string | null,
  inputTokens: number | null,
  outputTokens: number | null,
  cacheReadTokens: number | null,
  cacheWrite5mTokens: number | null,
  cacheWrite1hTokens: number | null,
  reasoningTokens: number | null,
  costNanoUsd: number | null,
  savedNanoUsd: number,
  latencyMs: number,
  protocol: string,
  errorSource: string | null,
  flags: number,
  ttftMs: number | null,
  overheadMs: number,
  cache: string | null,
  limits: readonly string[],
  /** Target and error class of each, in turn. */
  attempts: readonly (string | null)[],
  alias: string | null,
  /** Target and reason of each, in turn. */
  rejected: readonly string[],
]

/** Of a record, what metrics and statistics count. */
export type CountedRecord = Pick<
  UsageRecord,
  | 'keyId'
  | 'endpoint'
  | 'model'
  | 'provider'
  | 'status'
  | 'errorClass'
  | 'costNanoUsd'
  | 'savedNanoUsd'
  | 'latencyMs'
  | 'protocol'
  | 'errorSource'
  | 'stream'
  | 'complete'
  | 'estimated'
  | 'ttftMs'
  | 'overheadMs'
  | 'cache'
  | 'limits'
> & {
  readonly usage: Pick<UsageRecord['usage'], CountedTokens>
  readonly attempts: readonly { readonly target: string; readonly errorClass: string | null }[]
  readonly routing?: {
    readonly alias: string | null
    readonly candidates: readonly { readonly target: string; readonly rejected: string | null }[]
  } | null
}

type CountedTokens =
  | 'inputTokens'
  | 'outputTokens'
  | 'cacheReadTokens'
  | 'cacheWrite5mTokens'
  | 'cacheWrite1hTokens'
  | 'reasoningTokens'

const STREAM = 1
const COMPLETE = 2
const ESTIMATED = 4

/** Hot: once per request of a worker. */
export function factsOf(record: UsageRecord): RecordFacts {
  const { usage, routing } = record
  return [
    record.startedAtMs,
    record.id,
    record.requestId,
    record.keyId,
    record.team,
    record.user,
    record.project,
    record.endpoint,
    record.model,
    record.provider,
    record.status,
    record.errorClass,
    usage.inputTokens,
    usage.outputTokens,
    usage.cacheReadTokens,
    usage.cacheWrite5mTokens,
    usage.cacheWrite1hTokens,
    usage.reasoningTokens,
    record.costNanoUsd,
    record.savedNanoUsd,
    record.latencyMs,
    record.protocol,
    record.errorSource,
    (record.stream ? STREAM : 0) |
      (record.complete ? COMPLETE : 0) |
      (record.estimated ? ESTIMATED : 0),
    record.ttftMs,
    record.overheadMs,
    record.cache,
    record.limits,
    record.attempts.flatMap(({ target, errorClass }) => [target, errorClass]),
    routing?.alias ?? null,
    (routing?.candidates ?? []).flatMap(({ target, rejected }) =>
      rejected === null ? [] : [target, rejected],
    ),
  ]
}

export function countedOf(facts: RecordFacts): CountedRecord {
  const flags = facts[23]
  return {
    keyId: facts[3],
    endpoint: facts[7],
    model: facts[8],
    provider: facts[9],
    status: facts[10],
    errorClass: facts[11],
    usage: {
      inputTokens: facts[12],
      outputTokens: facts[13],
      cacheReadTokens: facts[14],
      cacheWrite5mTokens: facts[15],
      cacheWrite1hTokens: facts[16],
      reasoningTokens: facts[17],
    },
    costNanoUsd: facts[18],
    savedNanoUsd: facts[19],
    latencyMs: facts[20],
    protocol: facts[21],
    errorSource: facts[22],
    stream: (flags & STREAM) !== 0,
    complete: (flags & COMPLETE) !== 0,
    estimated: (flags & ESTIMATED) !== 0,
    ttftMs: facts[24],
    overheadMs: facts[25],
    cache: facts[26],
    limits: facts[27],
    attempts: pairsOf(facts[28], (target, errorClass) => ({ target: target ?? '', errorClass })),
    routing: {
      alias: facts[29],
      candidates: pairsOf(facts[30], (target, rejected) => ({ target: target ?? '', rejected })),
    },
  }
}

function pairsOf<T>(
  list: readonly (string | null)[],
  make: (one: string | null, other: string | null) => T,
): readonly T[] {
  const pairs: T[] = []
  for (let i = 0; i + 1 < list.length; i += 2)
    pairs.push(make(list[i] ?? null, list[i + 1] ?? null))
  return pairs
}
