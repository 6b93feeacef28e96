import type { UsageRecordView } from '../control-plane/admin-api.ts'

type Value = string | number | boolean | null

const COLUMNS: readonly (readonly [string, (record: UsageRecordView) => Value])[] = [
  ['id', ({ id }) => id],
  ['request_id', (record) => record.request_id],
  ['started_at', (record) => record.started_at],
  ['key_id', (record) => record.key_id],
  ['key_name', (record) => record.key_name],
  ['team', ({ team }) => team],
  ['user', ({ user }) => user],
  ['project', ({ project }) => project],
  ['endpoint', ({ endpoint }) => endpoint],
  ['requested_model', (record) => record.requested_model],
  ['model', ({ model }) => model],
  ['provider', ({ provider }) => provider],
  ['target', ({ target }) => target],
  ['status', ({ status }) => status],
  ['error_class', (record) => record.error_class],
  ['stream', ({ stream }) => stream],
  ['complete', ({ complete }) => complete],
  ['input', ({ usage }) => usage.input],
  ['output', ({ usage }) => usage.output],
  ['cache_read', ({ usage }) => usage.cache_read],
  ['cache_write_5m', ({ usage }) => usage.cache_write_5m],
  ['cache_write_1h', ({ usage }) => usage.cache_write_1h],
  ['reasoning', ({ usage }) => usage.reasoning],
  ['estimated', ({ estimated }) => estimated],
  ['cost_nanousd', (record) => record.cost_nanousd],
  ['saved_nanousd', (record) => record.saved_nanousd],
  ['latency_ms', (record) => record.latency_ms],
  ['ttft_ms', (record) => record.ttft_ms],
]

export function csvHeader(): string {
  return `${COLUMNS.map(([name]) => name).join(',')}\n`
}

export function csvLine(record: UsageRecordView): string {
  return `${COLUMNS.map(([, value]) => cell(value(record))).join(',')}\n`
}

/** Names come from clients: a spreadsheet must not take one for a formula. */
function cell(value: Value): string {
  if (value === null) return ''
  if (typeof value !== 'string') return String(value)
  const harmless = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}
