import { Command } from 'commander'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import type { JsonObject } from '../control-plane/admin-api.ts'
import type {
  PolicyReplay,
  ReplayExampleView,
  ReplayRowView,
  ReplayTotals,
} from '../control-plane/what-if-api.ts'
import { isRecord } from '../lib/is-record.ts'
import { requestOne } from './admin-client.ts'
import { costText, wholeText } from './amounts.ts'
import { isPolicyReplay } from './answers.ts'
import type { CliDeps } from './cli-deps.ts'
import { CliError, wrongUsage } from './cli-error.ts'
import { withAdmin } from './connect-admin.ts'
import { examples, given, jsonObject, printJson, withJson } from './flags.ts'
import { loadOptions, type PlaceFlags } from './load-options.ts'
import { plainText } from './plain-text.ts'
import { problemLines } from './problem-lines.ts'
import { type Column, table } from './table.ts'

/** The command's own `--config`, apart from the one before the command, which says where the gateway is. */
type CandidateFile = { readonly candidate: string }

type Flags = Omit<PlaceFlags, 'config'> & {
  readonly config?: string | CandidateFile
  readonly since: string
  readonly until?: string
  readonly key?: string
  readonly team?: string
  readonly policy?: string
  readonly merge?: boolean
  readonly json?: boolean
}

export function policyReplayCommand(deps: CliDeps): Command {
  const command: Command = new Command('replay')
    .description('what recorded requests had come to under another policy or configuration')
    .option('--since <time>', 'RFC 3339, or how long ago', '7d')
    .option('--until <time>', 'RFC 3339, or how long ago (default: now)')
    .option('--key <id>', "the policy takes the place of this key's own")
    .option('--team <name>', "the policy takes the place of this team's")
    .option(
      '--policy <policy>',
      'the candidate: JSON, @FILE or -; without --key or --team the global one',
    )
    .option('--merge', "merge the policy into the key's own, as key update does")
    .option('--config <file>', 'a candidate configuration file', candidateFile)
    .option('--dir <dir>', 'data directory (default: .tollgate)')
    .action((flags: Flags) => replay(deps, flags, command))
  return examples(withJson(command), [
    `policy replay --since 7d --key key_3k --policy '{"budget": {"daily": 5}}'`,
    'policy replay --since 30d --config tollgate.next.yaml --json',
  ])
}

function candidateFile(candidate: string): CandidateFile {
  return { candidate }
}

async function replay(deps: CliDeps, flags: Flags, command: Command): Promise<void> {
  const { io } = deps
  const { since, until, key, team, merge } = flags
  const file = typeof flags.config === 'object' ? flags.config.candidate : null
  const body = given({
    since,
    until,
    key,
    team,
    merge,
    policy: flags.policy === undefined ? undefined : await jsonObject(io, '--policy', flags.policy),
    config: file === null ? undefined : await sectionsOf(deps, file),
  })
  const place = given({ dir: flags.dir, config: placeOf(flags, command) })
  const answer = await withAdmin(deps, loadOptions(io, place), (client) =>
    requestOne(client, {
      method: 'POST',
      path: '/policies/replay',
      body,
      answer: isPolicyReplay,
    }),
  )
  if (flags.json === true) printJson(io, answer)
  else io.out(replayText(answer))
}

/** `tollgate --config F policy replay`. */
function placeOf({ config }: Flags, command: Command): string | undefined {
  if (typeof config === 'string') return config
  const before: unknown = command.parent?.parent?.getOptionValue('config')
  return typeof before === 'string' ? before : undefined
}

/** Of a whole configuration file, what can be tried. The rest stays as it runs. */
async function sectionsOf({ io }: CliDeps, fileName: string): Promise<JsonObject> {
  const { readSource } = await import('../config/read-source.ts')
  const file = path.resolve(io.cwd, fileName)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    throw wrongUsage(`--config: the file ${file} cannot be read.`)
  }
  const read = readSource(text, file)
  if (!read.ok) {
    const { ConfigError } = await import('../config/config-error.ts')
    throw new CliError(problemLines(new ConfigError(file, read.problems)).join('\n'), 2)
  }
  const { data } = read.source
  if (!isRecord(data)) throw wrongUsage(`--config: ${file} holds no configuration.`)
  const { CANDIDATE_SECTIONS } = await import('../config/candidate-config.ts')
  const known: ReadonlySet<string> = new Set(CANDIDATE_SECTIONS)
  const left = Object.keys(data).filter((name) => !known.has(name))
  if (left.length > 0) {
    io.err(`tollgate: not tried, and as they run: ${plainText(left.join(', '))}\n`)
  }
  const tried = Object.entries(data).filter(([name]) => known.has(name))
  return Object.fromEntries(tried.map(([name, value]) => [name, value ?? {}]))
}

function replayText(answer: PolicyReplay): string {
  const { scope, since, until, records, requests } = answer
  const who = scope.value === null ? 'everybody' : `${scope.kind} ${scope.value}`
  const head = [
    `replayed  ${wholeText(requests)} requests of ${who}, from ${wholeText(records)} records, ${since ?? ''} to ${until ?? 'now'}`,
    `recorded  ${wholeText(answer.recorded.refused)} refused, ${costText(answer.recorded.cost_nanousd)}`,
  ]
  const parts = [
    `${head.map(plainText).join('\n')}\n`,
    totalsTable(answer),
    section('refused by', answer.refused_by, refusalColumns),
    section('by model', changedRows(answer.by_model), rowColumns),
    section('by key', changedRows(answer.by_key), rowColumns),
    section('targets', answer.targets, targetColumns),
    section('examples', answer.examples, exampleColumns),
    othersText(answer),
    answer.notes.map((note) => `note: ${plainText(note)}\n`).join(''),
  ]
  return parts.filter((part) => part !== '').join('\n')
}

type Columns<T> = readonly Column<T>[]

function section<T>(title: string, rows: readonly T[], columns: Columns<T>): string {
  return rows.length === 0 ? '' : `${title}\n${table(rows, columns)}`
}

function totalsTable({ before, after, saved_nanousd: saved }: PolicyReplay): string {
  const row = (name: string, read: (totals: ReplayTotals) => string) => ({
    name,
    before: read(before),
    after: read(after),
  })
  const rows = [
    row('admitted', ({ admitted }) => wholeText(admitted)),
    row('refused', ({ refused }) => wholeText(refused)),
    row('shrunk', ({ shrunk }) => wholeText(shrunk)),
    row('cost', (totals) => costText(totals.cost_nanousd)),
    row('cost unknown', (totals) => wholeText(totals.unknown_cost)),
  ]
  const totals = table(rows, [
    { title: '', value: ({ name }) => name },
    { title: 'before', value: (one) => one.before, right: true },
    { title: 'after', value: (one) => one.after, right: true },
  ])
  return `${totals}saved  ${costText(saved)}\n`
}

/** Where nothing changes there is nothing to read. */
function changedRows(rows: readonly ReplayRowView[]): readonly ReplayRowView[] {
  return rows.filter(
    ({ before, after }) =>
      before.refused !== after.refused ||
      before.shrunk !== after.shrunk ||
      before.cost_nanousd !== after.cost_nanousd,
  )
}

const refusalColumns: Columns<PolicyReplay['refused_by'][number]> = [
  { title: 'limit or code', value: ({ name }) => name },
  { title: 'before', value: ({ before }) => wholeText(before), right: true },
  { title: 'after', value: ({ after }) => wholeText(after), right: true },
]

const rowColumns: Columns<ReplayRowView> = [
  { title: 'name', value: ({ name }) => name },
  { title: 'requests', value: ({ requests }) => wholeText(requests), right: true },
  { title: 'refused', value: ({ before }) => wholeText(before.refused), right: true },
  { title: 'then', value: ({ after }) => wholeText(after.refused), right: true },
  { title: 'cost', value: ({ before }) => costText(before.cost_nanousd), right: true },
  { title: 'then', value: ({ after }) => costText(after.cost_nanousd), right: true },
]

const targetColumns: Columns<PolicyReplay['targets'][number]> = [
  { title: 'from', value: ({ from }) => from },
  { title: 'to', value: ({ to }) => to },
  { title: 'requests', value: ({ requests }) => wholeText(requests), right: true },
  { title: 'cost', value: (row) => costText(row.before_nanousd), right: true },
  { title: 'then', value: (row) => costText(row.after_nanousd), right: true },
]

const exampleColumns: Columns<ReplayExampleView> = [
  { title: 'request', value: (row) => row.request_id },
  { title: 'at', value: (row) => row.started_at },
  { title: 'model', value: ({ model }) => model },
  { title: 'before', value: ({ before }) => outcomeText(before) },
  { title: 'after', value: ({ after }) => outcomeText(after) },
]

function outcomeText(outcome: ReplayExampleView['before']): string {
  if (!outcome.admitted) return `refused: ${outcome.refused_by ?? ''}`
  return outcome.shrunk ? `${outcome.target ?? ''}, cut` : (outcome.target ?? '')
}

function othersText({ others }: PolicyReplay): string {
  if (others === null) return ''
  const { refused, admitted } = others.changes
  return `others: of ${wholeText(others.requests)} requests, ${wholeText(refused)} more refused, ${wholeText(admitted)} more admitted\n`
}
