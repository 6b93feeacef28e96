import { Command, InvalidArgumentError } from 'commander'
import type { PolicySimulation, SimulatedLimit } from '../control-plane/what-if-api.ts'
import { requestOne } from './admin-client.ts'
import { unitText } from './amounts.ts'
import { isPolicySimulation } from './answers.ts'
import type { CliDeps } from './cli-deps.ts'
import { CliError } from './cli-error.ts'
import { withAdmin } from './connect-admin.ts'
import {
  examples,
  given,
  jsonObject,
  type Pairs,
  pair,
  printJson,
  withJson,
  withPlace,
} from './flags.ts'
import { loadOptions, type PlaceFlags } from './load-options.ts'
import { plainText } from './plain-text.ts'
import { table } from './table.ts'

type Flags = PlaceFlags & {
  readonly json?: boolean
  readonly key?: string
  readonly policy?: string
  readonly merge?: boolean
  readonly model?: string
  readonly body?: string
  readonly endpoint?: string
  readonly inputTokens?: number
  readonly maxTokens?: number
  readonly stream?: boolean
  readonly header?: Pairs
  readonly ip?: string
  readonly at?: string
  readonly team?: string
  readonly user?: string
  readonly role?: string
  readonly rolegroup?: string
}

export function policyTestCommand(deps: CliDeps): Command {
  const command = new Command('test')
    .description('what a request would come to; nothing is sent. Exit code 1 when it is refused')
    .option('--key <id>', 'the key that asks: its id, or a unique start of it')
    .option('--policy <policy>', "instead of the key's own: JSON, @FILE or - for standard input")
    .option('--merge', "merge the policy into the key's own, as key update does")
    .option('--model <name>', 'the model that is asked for')
    .option('--body <json>', 'what the client sends: JSON, @FILE or - for standard input')
    .option('--endpoint <path>', 'path or name (default: /v1/chat/completions)')
    .option('--input-tokens <n>', 'size of the input, without a body (default: 1000)', tokens)
    .option('--max-tokens <n>', 'the output cap that the client gives', tokens)
    .option('--stream', 'the client asks for a stream')
    .option('--header <name=value>', 'a header of the request; repeat it for more', pair)
    .option('--ip <address>', 'address of the client (default: 127.0.0.1)')
    .option('--at <time>', 'RFC 3339: when it is sent (default: now)')
    .option('--team <name>', 'of the one who asks; also --user, --role and --rolegroup')
    .option('--user <name>', 'of the one who asks')
    .option('--role <name>', 'of the one who asks')
    .option('--rolegroup <name>', 'of the one who asks')
  withPlace(withJson(command)).action((flags: Flags) => test(deps, flags))
  return examples(command, [
    'policy test --key key_3k --model gpt-4o-mini --max-tokens 4000',
    `policy test --key key_3k --model gpt-4o --policy '{"budget": {"daily": 5}}'`,
    'policy test --policy @contractor.json --body @request.json --endpoint /v1/messages',
  ])
}

function tokens(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Write a whole number.')
}

async function test(deps: CliDeps, flags: Flags): Promise<void> {
  const body = await bodyOf(deps, flags)
  const answer = await withAdmin(deps, loadOptions(deps.io, flags), (client) =>
    requestOne(client, {
      method: 'POST',
      path: '/policies/simulate',
      body,
      answer: isPolicySimulation,
    }),
  )
  if (flags.json === true) printJson(deps.io, answer)
  else deps.io.out(simulationText(answer))
  if (!answer.admitted) throw new CliError('')
}

async function bodyOf({ io }: CliDeps, flags: Flags): Promise<object> {
  if (flags.policy === '-' && flags.body === '-') {
    throw new CliError('only one of --policy and --body can be -.', 2)
  }
  const { team, user, role, rolegroup } = flags
  const subject = given({ team, user, role, rolegroup })
  const read = async (flag: string, text: string | undefined): Promise<unknown> =>
    text === undefined ? undefined : await jsonObject(io, flag, text)
  return given({
    key: flags.key,
    policy: await read('--policy', flags.policy),
    merge: flags.merge,
    model: flags.model,
    body: await read('--body', flags.body),
    endpoint: flags.endpoint,
    input_tokens: flags.inputTokens,
    max_tokens: flags.maxTokens,
    stream: flags.stream,
    headers: flags.header,
    ip: flags.ip,
    at: flags.at,
    subject: Object.keys(subject).length === 0 ? undefined : subject,
  })
}

function simulationText(answer: PolicySimulation): string {
  const { key, endpoint, model, decision, refusal } = answer
  const lines = [
    `verdict   ${refusal === null ? 'admitted' : `refused: ${refusal.status} ${refusal.code}`}`,
  ]
  if (refusal !== null) lines.push(...refusalLines(refusal))
  if (key !== null) lines.push(`key       ${key.name} (${key.id})`)
  lines.push(`request   ${model ?? 'no model'}, ${endpoint}, ${answer.protocol}`)
  if (answer.target !== null) lines.push(`target    ${answer.target}`)
  if (answer.targets.length > 1) lines.push(`order     ${answer.targets.join(' > ')}`)
  if (decision !== null) lines.push(`choice    ${decision.strategy}, ${decision.reason}`)
  lines.push(...worstLines(answer), ...changeLines(answer))
  const head = `${lines.map(plainText).join('\n')}\n`
  const lost = answer.explain.conflicts
    .map((one) => `no effect: ${plainText(`${one.from}.${one.field}: ${one.problem}`)}\n`)
    .join('')
  if (answer.limits.length === 0) return `${head}\nno limit holds\n${lost}`
  return `${head}\n${limitTable(answer.limits)}${lost}`
}

function refusalLines(refusal: NonNullable<PolicySimulation['refusal']>): readonly string[] {
  const lines = [`message   ${refusal.message}`]
  if (refusal.detail !== null) lines.push(`because   ${refusal.detail}`)
  if (refusal.would_wait) lines.push('          calls in flight hold it; it would wait up to 10 s')
  return lines
}

function worstLines({ reserved, output_cap: cap }: PolicySimulation): readonly string[] {
  const lines: string[] = []
  if (reserved !== null) {
    const { input_tokens: input, output_tokens: output, cost_usd: cost } = reserved
    const money = cost === null ? 'unpriced' : unitText(cost, 'usd')
    lines.push(`reserves  ${input} in, ${output} out, ${money}`)
  }
  if (cap !== null) lines.push(`capped    ${cap} output tokens`)
  return lines
}

function changeLines({ changes }: PolicySimulation): readonly string[] {
  if (changes === null) return []
  const said: string[] = []
  if (changes.model !== null) said.push(`model ${changes.model}`)
  if (changes.prompts > 0) said.push(`${changes.prompts} prompts added`)
  if (changes.protocol !== null) said.push(`said in ${changes.protocol}`)
  if (changes.losses.length > 0) said.push(`without ${changes.losses.join(', ')}`)
  return said.length === 0 ? [] : [`changes   ${said.join('; ')}`]
}

function limitTable(limits: readonly SimulatedLimit[]): string {
  return table(limits, [
    { title: 'limit', value: ({ id }) => id },
    { title: 'scope', value: ({ scope }) => scope },
    { title: 'value', value: ({ value }) => value ?? '' },
    { title: 'unit', value: ({ unit }) => unit },
    { title: 'used', value: (row) => amount(row.used, row), right: true },
    { title: 'reserved', value: (row) => amount(row.reserved, row), right: true },
    { title: 'amount', value: (row) => amount(row.amount, row), right: true },
    { title: 'needs', value: (row) => amount(row.needs, row), right: true },
    { title: 'outcome', value: ({ outcome }) => outcome },
    { title: 'why', value: ({ reason }) => reason },
    { title: 'from', value: ({ from }) => from.join(', ') },
  ])
}

function amount(value: number | null, { unit }: SimulatedLimit): string {
  return value === null ? '' : unitText(value, unit)
}
