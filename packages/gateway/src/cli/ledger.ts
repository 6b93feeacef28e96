import { Command } from 'commander'
import type { UsageRecordView, UsageRowView, UsageSummary } from '../control-plane/admin-api.ts'
import { type AdminClient, eachItem, type Query, requestOne, withQuery } from './admin-client.ts'
import { costText, wholeText } from './amounts.ts'
import { isKey, isUsageRecord, isUsageSummary } from './answers.ts'
import type { CliDeps } from './cli-deps.ts'
import { wrongUsage } from './cli-error.ts'
import { withAdmin } from './connect-admin.ts'
import { csvHeader, csvLine } from './csv.ts'
import { count, examples, printJson, withJson, withPlace } from './flags.ts'
import { reconcileCommand } from './ledger-reconcile.ts'
import { verifyCommand } from './ledger-verify.ts'
import { loadOptions, type PlaceFlags } from './load-options.ts'
import { table } from './table.ts'

type FilterFlags = PlaceFlags & {
  readonly json?: boolean
  readonly key?: string
  readonly model?: string
  readonly provider?: string
  readonly project?: string
  readonly status?: string
  readonly since?: string
  readonly until?: string
  readonly requestId?: string
}
type ListFlags = FilterFlags & { readonly limit: number }
type ExportFlags = FilterFlags & { readonly csv?: boolean }

const LISTED = 50

export function ledgerCommand(deps: CliDeps): Command {
  const command = new Command('ledger').description('what was used and what it cost')
  const parts = [
    summaryCommand(deps),
    listCommand(deps),
    exportCommand(deps),
    verifyCommand(deps),
    reconcileCommand(deps),
  ]
  for (const part of parts) command.addCommand(part)
  return examples(command, [
    'ledger summary --since 24h',
    'ledger list --key key_3k --status 4xx',
    'ledger verify --chain',
    'ledger reconcile usage.json --provider openai',
    'ledger export --csv --since 2030-01-01T00:00:00Z > usage.csv',
  ])
}

function withFilters(command: Command): Command {
  command
    .option('--key <id>', 'only this key: its id or a unique start of it')
    .option('--model <name>', 'only this model')
    .option('--provider <name>', 'only this provider')
    .option('--project <name>', 'only this project')
    .option('--status <status>', 'only this status, such as 429, or class, such as 4xx')
    .option('--since <when>', 'RFC 3339, or how long ago: 24h, 7d')
    .option('--until <when>', 'RFC 3339, or how long ago')
    .option('--request-id <id>', 'only this request')
  return withPlace(withJson(command))
}

/** The ledger takes full ids; people know the start of one. */
async function queryOf(client: AdminClient, flags: FilterFlags): Promise<Query> {
  const { model, provider, project, status, since, until, requestId } = flags
  return {
    key: flags.key === undefined ? undefined : await fullId(client, flags.key),
    model,
    provider,
    project,
    status,
    since,
    until,
    request_id: requestId,
  }
}

async function fullId(client: AdminClient, prefix: string): Promise<string> {
  const path = `/keys/${encodeURIComponent(prefix)}`
  const { id } = await requestOne(client, { method: 'GET', path, answer: isKey })
  return id
}

function summaryCommand(deps: CliDeps): Command {
  const summary = async (flags: FilterFlags): Promise<void> => {
    const answer = await withAdmin(deps, loadOptions(deps.io, flags), async (client) => {
      const path = withQuery('/usage/summary', await queryOf(client, flags))
      return await requestOne(client, { method: 'GET', path, answer: isUsageSummary })
    })
    if (flags.json === true) return printJson(deps.io, answer)
    deps.io.out(summaryText(answer))
  }
  const command = new Command('summary').description('totals, by model, key and provider')
  return withFilters(command).action(summary)
}

function summaryText(summary: UsageSummary): string {
  const total: UsageRowView = { ...summary, name: 'all' }
  const parts = [
    rowsTable('total', [total]),
    rowsTable('model', summary.by_model),
    rowsTable('key', summary.by_key),
    rowsTable('provider', summary.by_provider),
  ]
  return parts.filter((part) => part !== '').join('\n')
}

function rowsTable(title: string, rows: readonly UsageRowView[]): string {
  if (rows.length === 0) return ''
  return table(rows, [
    { title, value: ({ name }) => name },
    { title: 'requests', value: (row) => wholeText(row.requests), right: true },
    { title: 'errors', value: (row) => wholeText(row.errors), right: true },
    { title: 'input', value: ({ usage }) => wholeText(usage.input), right: true },
    { title: 'cached', value: ({ usage }) => wholeText(usage.cache_read), right: true },
    { title: 'output', value: ({ usage }) => wholeText(usage.output), right: true },
    { title: 'cost', value: (row) => costText(row.cost_nanousd), right: true },
  ])
}

function listCommand(deps: CliDeps): Command {
  const command = new Command('list')
    .alias('ls')
    .description('usage records, the newest first')
    .option('--limit <n>', 'at most this many', count, LISTED)
  return withFilters(command).action((flags: ListFlags) => list(deps, flags))
}

async function list(deps: CliDeps, flags: ListFlags): Promise<void> {
  const items: UsageRecordView[] = []
  await withAdmin(deps, loadOptions(deps.io, flags), async (client) => {
    for await (const record of await records(client, flags)) {
      if (items.length === flags.limit) return
      items.push(record)
    }
  })
  if (flags.json === true) {
    return printJson(deps.io, { items, total: items.length, next: null })
  }
  if (items.length === 0) return deps.io.err('tollgate: there are no such records.\n')
  deps.io.out(recordTable(items))
}

async function records(
  client: AdminClient,
  flags: FilterFlags,
): Promise<AsyncGenerator<UsageRecordView>> {
  const query = await queryOf(client, flags)
  return eachItem(client, { path: '/usage', query, item: isUsageRecord })
}

function recordTable(items: readonly UsageRecordView[]): string {
  return table(items, [
    { title: 'started', value: (record) => record.started_at },
    { title: 'request', value: (record) => record.request_id },
    { title: 'key', value: (record) => record.key_name ?? record.key_id },
    { title: 'model', value: (record) => record.requested_model },
    { title: 'provider', value: (record) => record.provider },
    { title: 'status', value: (record) => record.status, right: true },
    { title: 'input', value: ({ usage }) => usage.input, right: true },
    { title: 'output', value: ({ usage }) => usage.output, right: true },
    { title: 'cost', value: (record) => costText(record.cost_nanousd), right: true },
    { title: 'ms', value: (record) => Math.round(record.latency_ms), right: true },
  ])
}

function exportCommand(deps: CliDeps): Command {
  const command = new Command('export')
    .description('every record, as one JSON list or as CSV')
    .option('--csv', 'comma-separated values with a header')
  return withFilters(command).action((flags: ExportFlags) => exportRecords(deps, flags))
}

/** Written as it is read: a ledger may not fit into memory. */
async function exportRecords(deps: CliDeps, flags: ExportFlags): Promise<void> {
  const { io } = deps
  const csv = flags.csv === true
  if (csv && flags.json === true) throw wrongUsage('choose one of --csv and --json.')
  await withAdmin(deps, loadOptions(io, flags), async (client) => {
    const all = await records(client, flags)
    io.out(csv ? csvHeader() : '[')
    let separator = '\n'
    for await (const record of all) {
      io.out(csv ? csvLine(record) : `${separator}${JSON.stringify(record)}`)
      separator = ',\n'
    }
    if (!csv) io.out('\n]\n')
  })
}
