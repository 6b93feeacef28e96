import { Command } from 'commander'
import { isRecord } from '../lib/is-record.ts'
import { costText, wholeText } from './amounts.ts'
import type { CliDeps } from './cli-deps.ts'
import { withAdmin } from './connect-admin.ts'
import { examples, printJson, withJson, withPlace } from './flags.ts'
import { loadOptions, type PlaceFlags } from './load-options.ts'
import { type Column, table } from './table.ts'

type Row = { readonly name: string; readonly stats: Readonly<Record<string, unknown>> }

export function statsCommand(deps: CliDeps): Command {
  const stats = async (flags: PlaceFlags & { readonly json?: boolean }): Promise<void> => {
    const view = await withAdmin(deps, loadOptions(deps.io, flags), (client) =>
      client.request('GET', '/stats'),
    )
    if (flags.json === true) return printJson(deps.io, view)
    deps.io.out(statsText(view))
  }
  const command = new Command('stats').description('requests, cost and latency of the past day')
  return examples(withPlace(withJson(command)).action(stats), ['stats', 'stats --json'])
}

function statsText(view: unknown): string {
  if (!isRecord(view)) return ''
  const parts = [
    section('window', rowsOf(view['windows'])),
    section('model, 24h', ofDay(view['by_model'])),
    section('key, 24h', ofDay(view['by_key'])),
    section('provider, 24h', ofDay(view['by_provider'])),
  ]
  return parts.filter((part) => part !== '').join('\n')
}

function rowsOf(map: unknown): readonly Row[] {
  if (!isRecord(map)) return []
  return Object.entries(map).flatMap(([name, stats]) => (isRecord(stats) ? [{ name, stats }] : []))
}

function ofDay(map: unknown): readonly Row[] {
  return rowsOf(map).flatMap(({ name, stats }) => {
    const day = stats['24h']
    return isRecord(day) ? [{ name, stats: day }] : []
  })
}

function section(title: string, rows: readonly Row[]): string {
  if (rows.length === 0) return ''
  const columns: readonly Column<Row>[] = [
    { title, value: ({ name }) => name },
    { title: 'requests', value: ({ stats }) => whole(stats['requests']), right: true },
    { title: 'errors', value: ({ stats }) => whole(stats['errors']), right: true },
    { title: 'cost', value: ({ stats }) => cost(stats['cost_nanousd']), right: true },
    { title: 'p50 ms', value: ({ stats }) => within(stats, 'latency_ms', 'p50'), right: true },
    { title: 'p95 ms', value: ({ stats }) => within(stats, 'latency_ms', 'p95'), right: true },
    { title: 'ttft p50', value: ({ stats }) => within(stats, 'ttft_ms', 'p50'), right: true },
  ]
  return table(rows, columns)
}

function whole(value: unknown): string | null {
  return typeof value === 'number' ? wholeText(value) : null
}

function cost(value: unknown): string | null {
  return typeof value === 'number' ? costText(value) : null
}

function within(stats: Row['stats'], member: string, quantile: string): string | null {
  const quantiles = stats[member]
  return isRecord(quantiles) ? whole(quantiles[quantile]) : null
}
