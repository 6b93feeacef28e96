import { type Kysely, type SelectQueryBuilder, sql } from 'kysely'
import type { LedgerSummary, RecordFilter, SummaryRow, UsageSum } from '../../contracts/store.ts'
import { filterConditions } from './record-filter.ts'
import type { Tables } from './tables.ts'

/** Rows per breakdown, dearest first; what is beyond them is added up as one row, so that the sums still agree. */
const ROWS_KEPT = 1000
export const REST_NAME = '(other)'
/** Requests that were refused before they had a key, a model or a provider. */
export const NONE_NAME = '(none)'

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

/** Sums over what the filter selects. `errors` are requests that ended with an error class. Money: nano-USD. */
export async function summarise(
  read: Kysely<Tables>,
  filter: RecordFilter,
): Promise<LedgerSummary> {
  const selected = read
    .selectFrom('records')
    .where((where) => where.and(filterConditions(where, filter)))
  const [totals] = await withSums(selected).execute()
  const all = totals ?? NO_SUMS
  const [byModel, byKey, byProvider] = await Promise.all([
    breakdown(selected, 'model', all),
    breakdown(selected, 'key_id', all),
    breakdown(selected, 'provider', all),
  ])
  return {
    sinceMs: filter.sinceMs ?? null,
    untilMs: filter.untilMs ?? null,
    requests: all.requests,
    errors: all.errors,
    usage: usageOf(all),
    costNanoUsd: all.cost,
    savedNanoUsd: all.saved,
    byModel,
    byKey,
    byProvider,
  }
}

type Selected = SelectQueryBuilder<Tables, 'records', object>

function withSums<Output>(
  query: SelectQueryBuilder<Tables, 'records', Output>,
): SelectQueryBuilder<Tables, 'records', Output & Sums> {
  return query.select([
    sql<number>`count(*)`.as('requests'),
    sql<number>`count(error_class)`.as('errors'),
    sql<number>`coalesce(sum(input_tokens), 0)`.as('input'),
    sql<number>`coalesce(sum(output_tokens), 0)`.as('output'),
    sql<number>`coalesce(sum(cache_read_tokens), 0)`.as('cache_read'),
    sql<number>`coalesce(sum(cache_write_5m_tokens), 0)`.as('cache_write_5m'),
    sql<number>`coalesce(sum(cache_write_1h_tokens), 0)`.as('cache_write_1h'),
    sql<number>`coalesce(sum(reasoning_tokens), 0)`.as('reasoning'),
    sql<number>`coalesce(sum(cost_nanousd), 0)`.as('cost'),
    sql<number>`coalesce(sum(saved_nanousd), 0)`.as('saved'),
  ])
}

async function breakdown(
  selected: Selected,
  column: 'model' | 'key_id' | 'provider',
  all: Sums,
): Promise<readonly SummaryRow[]> {
  const rows = await withSums(selected.select(`${column} as name`))
    .groupBy(column)
    .orderBy('cost', 'desc')
    .orderBy('requests', 'desc')
    .orderBy(column)
    .limit(ROWS_KEPT)
    .execute()
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
