import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import type {
  LedgerReconciliation,
  ReconcileBody,
  ReconciledView,
} from '../control-plane/ledger-api.ts'
import { requestOne } from './admin-client.ts'
import { wholeText } from './amounts.ts'
import { isLedgerReconciliation } from './answers.ts'
import type { CliDeps } from './cli-deps.ts'
import { CliError, wrongUsage } from './cli-error.ts'
import { withAdmin } from './connect-admin.ts'
import { printJson, withJson, withPlace } from './flags.ts'
import { loadOptions, type PlaceFlags } from './load-options.ts'
import { table } from './table.ts'
import { readUsageExport } from './usage-export.ts'

type Flags = PlaceFlags & {
  readonly json?: boolean
  readonly provider?: string
  readonly byProject?: boolean
}

export function reconcileCommand(deps: CliDeps): Command {
  const command = new Command('reconcile')
    .description("compare the ledger with a provider's usage export; exit code 1 when they differ")
    .argument('<file>', "OpenAI's or Anthropic's usage report (JSON, CSV), or the sandbox's bill")
    .option('--provider <name>', 'only records of this provider')
    .option('--by-project', 'tell groups apart by project too')
  return withPlace(withJson(command)).action((file: string, flags: Flags) =>
    reconcile(deps, file, flags),
  )
}

async function reconcile(deps: CliDeps, file: string, flags: Flags): Promise<void> {
  const groups = readUsageExport(readText(file))
  if (groups === null) {
    throw wrongUsage(`${file} is no usage export of OpenAI, Anthropic or the sandbox.`)
  }
  if (groups.length === 0) throw wrongUsage(`${file} holds no usage.`)
  const body: ReconcileBody = {
    groups,
    ...(flags.provider === undefined ? {} : { provider: flags.provider }),
    ...(flags.byProject === true ? { by_project: true } : {}),
  }
  const answer = await withAdmin(deps, loadOptions(deps.io, flags), (client) =>
    requestOne(client, {
      method: 'POST',
      path: '/ledger/reconcile',
      body,
      answer: isLedgerReconciliation,
    }),
  )
  if (flags.json === true) printJson(deps.io, answer)
  else deps.io.out(reconciliationText(answer))
  if (!answer.ok) throw new CliError('')
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new CliError(`${file} cannot be read.`, 2, { cause })
  }
}

function reconciliationText({ since, until, items }: LedgerReconciliation): string {
  const rows = table(items, [
    { title: 'day', value: ({ day }) => day },
    { title: 'model', value: ({ model }) => model },
    { title: 'project', value: ({ project }) => project },
    { title: 'input', value: (row) => pair(row, 'input'), right: true },
    { title: 'cached', value: (row) => pair(row, 'cache_read'), right: true },
    { title: 'newly cached', value: (row) => pair(row, 'cache_write'), right: true },
    { title: 'output', value: (row) => pair(row, 'output'), right: true },
    { title: 'requests', value: (row) => pair(row, 'requests'), right: true },
  ])
  return `ledger, and in brackets what it has more or less than the provider, ${since} to ${until}\n\n${rows}`
}

function pair(
  { ledger, difference }: ReconciledView,
  kind: keyof ReconciledView['ledger'],
): string {
  const more = difference[kind]
  const own = wholeText(ledger[kind])
  if (more === null || more === 0) return own
  return `${own} (${more > 0 ? '+' : ''}${wholeText(more)})`
}
