import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { LedgerSummary, RecordFilter, SummaryRow, UsageSum } from '../../contracts/store.ts'
import { filterConditions } from './record-filter.ts'
import type { Tables } from './tables.ts'

/** Rows per breakdown, dearest first; what is beyond them is added up as one row, so that the sums still agree. */
const ROWS_KEPT = 1000
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

type Part = Sums & {
  readonly kind: 'all' | 'model' | 'key' | 'provider'
  readonly name: string | null
}

/** Sums over what the filter selects. `errors` are requests that ended with an error class. Money: nano-USD. */
export async function summarise(
  read: Kysely<Tables>,
  filter: RecordFilter,
): Promise<LedgerSummary> {
  const { rows } = await partsQuery(read, filter).execute(read)
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

/**
 * Reads the records once, however many breakdowns there are. The unary plus keeps SQLite from walking an index by key,
 * which would fetch every row of the table for a window of an hour.
 */
function partsQuery(read: Kysely<Tables>, filter: RecordFilter): RawBuilder<Part> {
  const groups = read
    .selectFrom('records')
    .where((where) => where.and(filterConditions(where, filter)))
    .select([
      sql<string | null>`+model`.as('model'),
      sql<string | null>`+key_id`.as('key_id'),
      sql<string | null>`+provider`.as('provider'),
      sql<number>`count(*)`.as('requests'),
      sql<number>`count(error_class)`.as('errors'),
      sql<number>`sum(input_tokens)`.as('input'),
      sql<number>`sum(output_tokens)`.as('output'),
      sql<number>`sum(cache_read_tokens)`.as('cache_read'),
      sql<number>`sum(cache_write_5m_tokens)`.as('cache_write_5m'),
      sql<number>`sum(cache_write_1h_tokens)`.as('cache_write_1h'),
      sql<number>`sum(reasoning_tokens)`.as('reasoning'),
      sql<number>`sum(cost_nanousd)`.as('cost'),
      sql<number>`sum(saved_nanousd)`.as('saved'),
    ])
    .groupBy([sql`+model`, sql`+key_id`, sql`+provider`])
  return sql<Part>`
    WITH groups AS MATERIALIZED ${groups},
    parts AS (
      SELECT 'all' AS kind, NULL AS name, ${SUMS} FROM groups
      UNION ALL SELECT 'model', model, ${SUMS} FROM groups GROUP BY model
      UNION ALL SELECT 'key', key_id, ${SUMS} FROM groups GROUP BY key_id
      UNION ALL SELECT 'provider', provider, ${SUMS} FROM groups GROUP BY provider
    ),
    placed AS (
      SELECT *, row_number() OVER (PARTITION BY kind ORDER BY cost DESC, requests DESC, name) AS place FROM parts
    )
    SELECT * FROM placed WHERE place <= ${ROWS_KEPT} ORDER BY kind, place`
}

const SUMS: RawBuilder<unknown> = sql`
  coalesce(sum(requests), 0) AS requests, coalesce(sum(errors), 0) AS errors,
  coalesce(sum(input), 0) AS input, coalesce(sum(output), 0) AS output,
  coalesce(sum(cache_read), 0) AS cache_read, coalesce(sum(cache_write_5m), 0) AS cache_write_5m,
  coalesce(sum(cache_write_1h), 0) AS cache_write_1h, coalesce(sum(reasoning), 0) AS reasoning,
  coalesce(sum(cost), 0) AS cost, coalesce(sum(saved), 0) AS saved`

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
