import { Command } from 'commander'
import type { LedgerVerification, RecountView } from '../control-plane/ledger-api.ts'
import { requestOne, withQuery } from './admin-client.ts'
import { unitText, wholeText } from './amounts.ts'
import { isLedgerVerification } from './answers.ts'
import type { CliDeps } from './cli-deps.ts'
import { CliError } from './cli-error.ts'
import { withAdmin } from './connect-admin.ts'
import { printJson, withJson, withPlace } from './flags.ts'
import { loadOptions, type PlaceFlags } from './load-options.ts'
import { table } from './table.ts'

type Flags = PlaceFlags & { readonly json?: boolean; readonly chain?: boolean }

export function verifyCommand(deps: CliDeps): Command {
  const command = new Command('verify')
    .description('count every durable limit again from the records; exit code 1 when one differs')
    .option('--chain', 'also check the chain over the records: edits, deletions, insertions, order')
  return withPlace(withJson(command)).action((flags: Flags) => verify(deps, flags))
}

async function verify(deps: CliDeps, flags: Flags): Promise<void> {
  const path = withQuery('/ledger/verify', { chain: String(flags.chain === true) })
  const answer = await withAdmin(deps, loadOptions(deps.io, flags), (client) =>
    requestOne(client, { method: 'GET', path, answer: isLedgerVerification }),
  )
  if (flags.json === true) printJson(deps.io, answer)
  else deps.io.out(verificationText(answer))
  if (!answer.ok) throw new CliError('')
}

function verificationText(answer: LedgerVerification): string {
  const { differences, not_recounted: skipped, chain } = answer
  const recounted = answer.counters - skipped.length
  const lines = [
    `${wholeText(answer.records)} records, ${wholeText(recounted)} counters counted again: ${wholeText(differences.length)} differences`,
  ]
  for (const { id, scope, value, reason } of skipped) {
    lines.push(`not counted again: ${id} ${scope} ${value}: ${reason ?? ''}`)
  }
  if (chain !== null) {
    const { checked, unlinked, checkpoints, last_checkpoint_at: last } = chain
    lines.push(
      `${wholeText(checked)} links checked, ${wholeText(unlinked)} records of before the chain, ${wholeText(checkpoints)} checkpoints${last === null ? '' : `, the last of ${last}`}: ${wholeText(chain.findings_total)} findings`,
    )
    for (const { position, record_id: id, problem } of chain.findings) {
      lines.push(`record ${position}${id === null ? '' : ` (${id})`}: ${problem}`)
    }
  }
  const text = `${lines.join('\n')}\n`
  return differences.length === 0 ? text : `${text}\n${differenceTable(differences)}`
}

function differenceTable(rows: readonly RecountView[]): string {
  return table(rows, [
    { title: 'limit', value: ({ id }) => id },
    { title: 'scope', value: ({ scope }) => scope },
    { title: 'value', value: ({ value }) => value },
    { title: 'window', value: (row) => row.window_start },
    { title: 'unit', value: ({ unit }) => unit },
    { title: 'counted', value: (row) => amount(row, row.counted), right: true },
    { title: 'from records', value: (row) => amount(row, row.recounted ?? 0), right: true },
    { title: 'difference', value: (row) => amount(row, row.difference ?? 0), right: true },
  ])
}

function amount({ unit }: RecountView, value: number): string {
  return unitText(value, unit)
}
