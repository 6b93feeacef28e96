import { Command, InvalidArgumentError } from 'commander'
import type { LimitChange, LimitView } from '../control-plane/admin-api.ts'
import { listAll, requestOne } from './admin-client.ts'
import { unitText } from './amounts.ts'
import { isLimit, isLimitChange } from './answers.ts'
import type { CliDeps } from './cli-deps.ts'
import { withAdmin } from './connect-admin.ts'
import { examples, given, printJson, withJson, withPlace } from './flags.ts'
import { limitExplainCommand } from './limit-explain.ts'
import { loadOptions, type PlaceFlags } from './load-options.ts'
import { table } from './table.ts'

type Flags = PlaceFlags & { readonly json?: boolean }
type ListFlags = Flags & { readonly id?: string; readonly scope?: string; readonly value?: string }
type ChangeFlags = Flags & { readonly value?: string; readonly amount?: number }

export function limitCommand(deps: CliDeps): Command {
  const command = new Command('limit').description('what limits have counted')
  const parts = [listCommand, limitExplainCommand, resetCommand, grantCommand]
  for (const part of parts.map((make) => make(deps))) {
    command.addCommand(part)
  }
  return examples(command, [
    'limit list --scope key',
    'limit explain key_4f --model gpt-4o-mini',
    'limit reset team-day --value research',
    'limit grant team-day --value research --amount 20',
  ])
}

function listCommand(deps: CliDeps): Command {
  const list = async (flags: ListFlags): Promise<void> => {
    const { id, scope, value } = flags
    const page = await withAdmin(deps, loadOptions(deps.io, flags), (client) =>
      listAll(client, { path: '/limits', query: { id, scope, value }, item: isLimit }),
    )
    if (flags.json === true) return printJson(deps.io, page)
    if (page.items.length === 0) return deps.io.err('tollgate: no limit has counted anything.\n')
    deps.io.out(limitTable(page.items))
  }
  const command = new Command('list')
    .alias('ls')
    .description('list the counters of limits')
    .option('--id <id>', 'only this limit')
    .option('--scope <scope>', 'only limits of this scope')
    .option('--value <value>', 'only this key, team, user …')
  return withPlace(withJson(command)).action(list)
}

function limitTable(limits: readonly LimitView[]): string {
  return table(limits, [
    { title: 'id', value: ({ id }) => id },
    { title: 'scope', value: ({ scope }) => scope },
    { title: 'value', value: ({ value }) => value },
    { title: 'unit', value: ({ unit }) => unit },
    { title: 'used', value: ({ used, unit }) => unitText(used, unit), right: true },
    { title: 'reserved', value: ({ reserved, unit }) => unitText(reserved, unit), right: true },
    { title: 'amount', value: ({ amount, unit }) => unitText(amount, unit), right: true },
    { title: 'resets', value: ({ resets_at: at }) => at },
  ])
}

function resetCommand(deps: CliDeps): Command {
  const reset = (id: string, flags: ChangeFlags): Promise<void> =>
    change(deps, flags, { id, act: 'reset', body: given({ value: flags.value }) })
  const command = new Command('reset')
    .description('set what a limit has counted to zero')
    .argument('<id>', 'id of the limit')
    .option('--value <value>', 'whose counter (default: every counter of the limit)')
  return withPlace(withJson(command)).action(reset)
}

function grantCommand(deps: CliDeps): Command {
  const grant = (id: string, flags: ChangeFlags): Promise<void> =>
    change(deps, flags, { id, act: 'grant', body: { value: flags.value, amount: flags.amount } })
  const command = new Command('grant')
    .description('add an allowance to the current window')
    .argument('<id>', 'id of the limit')
    .requiredOption('--value <value>', 'whose counter')
    .requiredOption('--amount <n>', 'in the unit of the limit; dollars for usd', positive)
  return withPlace(withJson(command)).action(grant)
}

function positive(text: string): number {
  const number = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (number > 0) return number
  throw new InvalidArgumentError('Write a number above 0.')
}

type Change = { readonly id: string; readonly act: 'reset' | 'grant'; readonly body: object }

async function change(deps: CliDeps, flags: Flags, { id, act, body }: Change): Promise<void> {
  const path = `/limits/${encodeURIComponent(id)}/${act}`
  const answer: LimitChange = await withAdmin(deps, loadOptions(deps.io, flags), (client) =>
    requestOne(client, { method: 'POST', path, body, answer: isLimitChange }),
  )
  if (flags.json === true) return printJson(deps.io, answer)
  const counters = answer.changed === 1 ? 'counter' : 'counters'
  deps.io.out(`changed ${answer.changed} ${counters}\n`)
  if (answer.items.length > 0) deps.io.out(limitTable(answer.items))
}
