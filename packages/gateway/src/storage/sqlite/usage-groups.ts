import type { UsageGroup, UsageGroupFilter } from '../../contracts/ledger-proof.ts'
import type { Statement } from './messages.ts'
import type { WorkerClient } from './worker-client.ts'

/** The model as the provider names it: in its answer, else as it was asked for. */
const MODEL = `coalesce(
  json_extract(body, '$.servedModel'),
  substr(json_extract(body, '$.target'), length(provider) + 2),
  model
)`

export async function usageGroups(
  reader: WorkerClient,
  filter: UsageGroupFilter,
): Promise<readonly UsageGroup[]> {
  const { rows } = await reader.call({ kind: 'query', statement: groupsOf(filter) })
  return rows.map((row) => ({
    day: String(row['day']),
    model: String(row['name']),
    project: typeof row['of_project'] === 'string' ? row['of_project'] : null,
    requests: Number(row['requests']),
    input: Number(row['input']),
    cacheRead: Number(row['cache_read']),
    cacheWrite: Number(row['cache_write']),
    output: Number(row['output']),
  }))
}

function groupsOf({ sinceMs, untilMs, provider, byProject }: UsageGroupFilter): Statement {
  return {
    sql: `
      SELECT
        strftime('%Y-%m-%d', started_at_ms / 1000, 'unixepoch') AS day,
        ${MODEL} AS name,
        CASE WHEN ? = 1 THEN project END AS of_project,
        count(*) AS requests,
        total(input_tokens) AS input,
        total(cache_read_tokens) AS cache_read,
        total(cache_write_5m_tokens) + total(cache_write_1h_tokens) AS cache_write,
        total(output_tokens) AS output
      FROM records JOIN record_bodies USING (body_id)
      WHERE started_at_ms >= ? AND started_at_ms < ? AND coalesce(provider = ?, 1)
        AND (input_tokens IS NOT NULL OR output_tokens IS NOT NULL)
      GROUP BY day, name, of_project
      ORDER BY day, name, of_project`,
    parameters: [byProject ? 1 : 0, sinceMs, untilMs, provider],
  }
}
