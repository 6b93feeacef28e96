import type { LedgerSummary, RecordFilter, SummaryRow, UsageSum } from '../contracts/store.ts'

/** Rows per breakdown, dearest first; what is beyond them is added up as one row, so that the sums still agree. */
export const ROWS_KEPT = 1000
const REST_NAME = 'other'
/** Requests that were refused before they had a key, a model or a provider. */
const NONE_NAME = 'none'

type Sums = {
  requests: number
  errors: number
  input: number
  output: number
  cache_read: number
  cache_write_5m: number
  cache_write_1h: number
  reasoning: number
  cost: number
  saved: number
}

/** A row of a summary query: sums over everything, or over one name of a kind. */
export type Part = Sums & {
  readonly kind: 'all' | 'model' | 'key' | 'provider'
  readonly name: string | null
}

/** `errors` are requests that ended with an error class. Money: nano-USD. */
export function summaryOf(filter: RecordFilter, rows: readonly Part[]): LedgerSummary {
  const all = rows.find((row) => row.kind === 'all') ?? NO_SUMS
  return {
    sinceMs: filter.sinceMs ?? null,
    untilMs: filter.untilMs ?? null,
    requests: all.requests,
    errors: all.errors,
    usage: usageOf(all),
    costNanoUsd: all.cost,
    savedNanoUsd: all.saved,
    byModel: breakdown(rows, 'model', all),
    byKey: breakdown(rows, 'key', all),
    byProvider: breakdown(rows, 'provider', all),
  }
}

function breakdown(parts: readonly Part[], kind: Part['kind'], all: Sums): readonly SummaryRow[] {
  const rows = parts.filter((part) => part.kind === kind)
  const named = rows.map((row) => summaryRow(row.name ?? NONE_NAME, row))
  if (rows.length < ROWS_KEPT) return named
  const rest = rows.reduce<Sums>(minus, all)
  return rest.requests > 0 ? [...named, summaryRow(REST_NAME, rest)] : named
}

function summaryRow(name: string, sums: Sums): SummaryRow {
  return {
    name,
    requests: sums.requests,
    errors: sums.errors,
    usage: usageOf(sums),
    costNanoUsd: sums.cost,
  }
}

function usageOf(sums: Sums): UsageSum {
  return {
    input: sums.input,
    output: sums.output,
    cacheRead: sums.cache_read,
    cacheWrite5m: sums.cache_write_5m,
    cacheWrite1h: sums.cache_write_1h,
    reasoning: sums.reasoning,
  }
}

function minus(from: Sums, part: Sums): Sums {
  return {
    requests: from.requests - part.requests,
    errors: from.errors - part.errors,
    input: from.input - part.input,
    output: from.output - part.output,
    cache_read: from.cache_read - part.cache_read,
    cache_write_5m: from.cache_write_5m - part.cache_write_5m,
    cache_write_1h: from.cache_write_1h - part.cache_write_1h,
    reasoning: from.reasoning - part.reasoning,
    cost: from.cost - part.cost,
    saved: from.saved - part.saved,
  }
}

const NO_SUMS: Sums = {
  requests: 0,
  errors: 0,
  input: 0,
  output: 0,
  cache_read: 0,
  cache_write_5m: 0,
  cache_write_1h: 0,
  reasoning: 0,
  cost: 0,
  saved: 0,
}
