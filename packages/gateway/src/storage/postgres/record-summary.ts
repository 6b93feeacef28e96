import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { LedgerSummary, RecordFilter } from '../../contracts/store.ts'
import { type Part, ROWS_KEPT, summaryOf } from '../summary-parts.ts'
import { filterConditions } from './record-filter.ts'
import type { Tables } from './tables.ts'

/** Sums over what the filter selects. */
export async function summarise(
  database: Kysely<Tables>,
  filter: RecordFilter,
): Promise<LedgerSummary> {
  const { rows } = await partsQuery(database, filter).execute(database)
  return summaryOf(filter, rows)
}

/** Reads the records once, however many breakdowns there are. Sums are exact: a sum of bigint is numeric. */
function partsQuery(database: Kysely<Tables>, filter: RecordFilter): RawBuilder<Part> {
  const combined = database
    .selectFrom('tollgate.records')
    .where((where) => where.and(filterConditions(where, filter)))
    .select([
      'model',
      'key_id',
      'provider',
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
    .groupBy(['model', 'key_id', 'provider'])
  return sql<Part>`
    WITH combined AS MATERIALIZED (${combined}),
    parts AS (
      SELECT 'all' AS kind, NULL AS name, ${SUMS} FROM combined
      UNION ALL SELECT 'model', model, ${SUMS} FROM combined GROUP BY model
      UNION ALL SELECT 'key', key_id, ${SUMS} FROM combined GROUP BY key_id
      UNION ALL SELECT 'provider', provider, ${SUMS} FROM combined GROUP BY provider
    ),
    placed AS (
      SELECT *, row_number() OVER (PARTITION BY kind ORDER BY cost DESC, requests DESC, name NULLS FIRST) AS place FROM parts
    )
    SELECT * FROM placed WHERE place <= ${ROWS_KEPT} ORDER BY kind, place`
}

const SUMS: RawBuilder<unknown> = sql`
  coalesce(sum(requests), 0) AS requests, coalesce(sum(errors), 0) AS errors,
  coalesce(sum(input), 0) AS input, coalesce(sum(output), 0) AS output,
  coalesce(sum(cache_read), 0) AS cache_read, coalesce(sum(cache_write_5m), 0) AS cache_write_5m,
  coalesce(sum(cache_write_1h), 0) AS cache_write_1h, coalesce(sum(reasoning), 0) AS reasoning,
  coalesce(sum(cost), 0) AS cost, coalesce(sum(saved), 0) AS saved`
