import { Command, InvalidArgumentError } from 'commander'
import type { ExplainedLimit, LimitExplanation } from '../control-plane/admin-api.ts'
import { requestOne, withQuery } from './admin-client.ts'
import { unitText } from './amounts.ts'
import { isLimitExplanation } from './answers.ts'
import type { CliDeps } from './cli-deps.ts'
import { withAdmin } from './connect-admin.ts'
import { printJson, withJson, withPlace } from './flags.ts'
import { loadOptions, type PlaceFlags } from './load-options.ts'
import { plainText } from './plain-text.ts'
import { table } from './table.ts'

type Flags = PlaceFlags & {
  readonly json?: boolean
  readonly model?: string
  readonly endpoint?: string
  readonly ip?: string
  readonly inputTokens?: number
  readonly outputTokens?: number
}

export function limitExplainCommand(deps: CliDeps): Command {
  const explain = async (id: string, flags: Flags): Promise<void> => {
    const path = withQuery(`/keys/${encodeURIComponent(id)}/limits`, {
      model: flags.model,
      endpoint: flags.endpoint,
      ip: flags.ip,
      input_tokens: flags.inputTokens,
      output_tokens: flags.outputTokens,
    })
    const answer = await withAdmin(deps, loadOptions(deps.io, flags), (client) =>
      requestOne(client, { method: 'GET', path, answer: isLimitExplanation }),
    )
    if (flags.json === true) return printJson(deps.io, answer)
    deps.io.out(explanationText(answer))
  }
  const command = new Command('explain')
    .description('which limits a request of a key would meet, and whether it would pass')
    .argument('<key>', 'id of the key, or a unique start of it')
    .option('--model <name>', 'the model that is asked for')
    .option('--endpoint <name>', 'such as chat')
    .option('--ip <address>', 'address of the client')
    .option('--input-tokens <n>', 'size of the input (default: 1000)', tokens)
    .option('--output-tokens <n>', 'most output (default: what the model may write)', tokens)
  return withPlace(withJson(command)).action(explain)
}

function tokens(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Write a whole number.')
}

function explanationText({ key, target, request, ...rest }: LimitExplanation): string {
  const cost = request.cost_usd === null ? 'unpriced' : unitText(request.cost_usd, 'usd')
  const { input_tokens: input, output_tokens: output } = request
  const verdict = rest.passes ? 'would pass' : `refused by ${rest.refused_by.join(', ')}`
  const head = [
    `key      ${plainText(`${key.name} (${key.id})`)}`,
    `request  ${plainText(rest.model ?? 'any model')}${target === null ? '' : ` at ${plainText(target)}`}, ${input} in, ${output} out, at most ${cost}`,
    `verdict  ${plainText(verdict)}`,
  ].join('\n')
  if (rest.limits.length === 0) return `${head}\n\nno limit holds for this key\n`
  return `${head}\n\n${limitTable(rest.limits)}`
}

function limitTable(limits: readonly ExplainedLimit[]): string {
  return table(limits, [
    { title: 'id', value: ({ id }) => id },
    { title: 'scope', value: ({ scope }) => scope },
    { title: 'value', value: ({ value }) => value ?? '' },
    { title: 'unit', value: ({ unit }) => unit },
    { title: 'used', value: ({ used, unit }) => amount(used, unit), right: true },
    { title: 'reserved', value: ({ reserved, unit }) => amount(reserved, unit), right: true },
    { title: 'amount', value: ({ amount: all, unit }) => amount(all, unit), right: true },
    { title: 'needs', value: ({ needs, unit }) => amount(needs, unit), right: true },
    { title: 'resets', value: ({ resets_at: at }) => at },
    { title: 'outcome', value: ({ outcome }) => outcome },
    { title: 'why', value: ({ reason }) => reason },
    { title: 'from', value: ({ from }) => from.join(', ') },
  ])
}

function amount(value: number | null, unit: string): string {
  return value === null ? '' : unitText(value, unit)
}
