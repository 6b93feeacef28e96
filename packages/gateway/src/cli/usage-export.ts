import type { ReconcileGroup } from '../control-plane/ledger-api.ts'
import { isRecord } from '../lib/is-record.ts'
import { parseCsv } from './csv-rows.ts'

type Fields = Readonly<Record<string, unknown>>
type Line = { readonly fields: Fields; readonly at: unknown }

/**
 * Reads a provider's export of usage into groups: OpenAI's usage API (JSON, or CSV with its columns), Anthropic's usage
 * report, the sandbox's bill, or several pages of these in one JSON list. Null: it is none of them.
 *
 * Sources: platform.openai.com/docs/api-reference/usage, docs.anthropic.com/en/api/admin-api/usage-cost.
 */
export function readUsageExport(text: string): readonly ReconcileGroup[] | null {
  const lines = /^\s*[[{]/.test(text) ? jsonLines(parseJson(text)) : csvLines(text)
  if (lines === null) return null
  const groups = new Map<string, ReconcileGroup>()
  for (const line of lines) {
    const group = groupOf(line)
    if (group === null) return null
    const name = JSON.stringify([group.day, group.model, group.project])
    const before = groups.get(name)
    groups.set(name, before === undefined ? group : sum(before, group))
  }
  return [...groups.values()]
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function jsonLines(value: unknown): readonly Line[] | null {
  const pages = Array.isArray(value) ? value : [value]
  const lines: Line[] = []
  for (const page of pages) {
    if (!isRecord(page)) return null
    const { data, items } = page
    if (Array.isArray(items)) lines.push(...billLines(items))
    else if (Array.isArray(data)) lines.push(...bucketLines(data))
    else return null
  }
  return lines
}

function billLines(items: readonly unknown[]): readonly Line[] {
  return items.filter(isRecord).map((fields) => ({ fields, at: fields['startedAtMs'] }))
}

function bucketLines(buckets: readonly unknown[]): readonly Line[] {
  return buckets.filter(isRecord).flatMap((bucket) => {
    const results = Array.isArray(bucket['results']) ? bucket['results'].filter(isRecord) : []
    const at = bucket['starting_at'] ?? secondsToMs(bucket['start_time'])
    return results.map((fields) => ({ fields, at }))
  })
}

function csvLines(text: string): readonly Line[] | null {
  const rows = parseCsv(text)
  if (rows.length === 0) return null
  return rows.map((fields) => ({
    fields,
    at:
      fields['start_time_iso'] ??
      fields['starting_at'] ??
      fields['date'] ??
      secondsToMs(Number(fields['start_time'])),
  }))
}

function secondsToMs(seconds: unknown): number | null {
  return typeof seconds === 'number' ? seconds * 1000 : null
}

function groupOf({ fields, at }: Line): ReconcileGroup | null {
  const day = dayOf(at)
  const model = fields['model']
  const output = count(fields, 'output_tokens', 'outputTokens')
  if (day === null || typeof model !== 'string' || output === null) return null
  const project = fields['project_id'] ?? fields['workspace_id'] ?? null
  return {
    day,
    model,
    project: typeof project === 'string' && project !== '' ? project : null,
    requests: requestsOf(fields),
    ...inputOf(fields),
    output,
  }
}

function requestsOf(fields: Fields): number | null {
  // Each line of the sandbox's bill is one call.
  return 'gatewayRequestId' in fields ? 1 : count(fields, 'num_model_requests', 'requests')
}

/** OpenAI's input includes what came from the cache; the others name it apart. */
function inputOf(fields: Fields): Pick<ReconcileGroup, 'input' | 'cache_read' | 'cache_write'> {
  const created = isRecord(fields['cache_creation']) ? fields['cache_creation'] : fields
  const cacheWrite =
    (count(created, 'ephemeral_5m_input_tokens', 'cacheWrite5mTokens') ?? 0) +
    (count(created, 'ephemeral_1h_input_tokens', 'cacheWrite1hTokens') ?? 0)
  const whole = count(fields, 'input_tokens')
  const cached = count(fields, 'input_cached_tokens') ?? 0
  return {
    input:
      whole === null
        ? (count(fields, 'uncached_input_tokens', 'inputTokens') ?? 0)
        : whole - cached,
    cache_read:
      whole === null ? (count(fields, 'cache_read_input_tokens', 'cacheReadTokens') ?? 0) : cached,
    cache_write: cacheWrite,
  }
}

/** The first of the names that is there. Null: none is, or it is no count. */
function count(fields: Fields, ...names: readonly string[]): number | null {
  const value = names.map((name) => fields[name]).find((one) => one !== undefined && one !== '')
  const number = typeof value === 'string' ? Number(value) : value
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : null
}

function dayOf(at: unknown): string | null {
  if (typeof at !== 'number' && typeof at !== 'string') return null
  const date = new Date(at)
  return Number.isNaN(date.getTime()) ? null : date.toISOString().slice(0, 10)
}

function sum(one: ReconcileGroup, other: ReconcileGroup): ReconcileGroup {
  const requests =
    one.requests === null || other.requests === null ? null : one.requests + other.requests
  return {
    ...one,
    requests,
    input: one.input + other.input,
    cache_read: one.cache_read + other.cache_read,
    cache_write: one.cache_write + other.cache_write,
    output: one.output + other.output,
  }
}
