import { Command, InvalidArgumentError } from 'commander'
import type { RouteCandidateView, RouteSimulation } from '../control-plane/routing-api.ts'
import { requestOne } from './admin-client.ts'
import { isRouteSimulation } from './answers.ts'
import type { CliDeps } from './cli-deps.ts'
import { withAdmin } from './connect-admin.ts'
import {
  count,
  examples,
  given,
  jsonObject,
  names,
  printJson,
  withJson,
  withPlace,
} from './flags.ts'
import { loadOptions, type PlaceFlags } from './load-options.ts'
import { plainText } from './plain-text.ts'
import { evaluateCommand, rewardsCommand } from './route-evaluate.ts'
import { table } from './table.ts'

const NANO_PER_USD = 1e9
const NEEDS = ['tools', 'vision', 'audio', 'documents', 'json_schema', 'streaming']

type Flags = PlaceFlags & {
  readonly json?: boolean
  readonly key?: string
  readonly policy?: string
  readonly protocol?: string
  readonly request?: string
  readonly needs?: readonly string[]
  readonly inputTokens?: number
  readonly maxTokens?: number
  readonly stream?: boolean
  readonly mode?: string
  readonly maxCost?: number
  readonly maxLatency?: number
  readonly minWeight?: number
  readonly session?: string
  readonly seed?: string
  readonly count?: number
}

export function routeCommand(deps: CliDeps): Command {
  const command = new Command('route').description('where requests would go')
  for (const part of [explainCommand(deps), evaluateCommand(deps), rewardsCommand(deps)]) {
    command.addCommand(part)
  }
  return examples(command, [
    'route explain gpt-4o-mini --key key_3k --input-tokens 20000 --needs tools',
    'route explain fast --count 1000',
  ])
}

function explainCommand(deps: CliDeps): Command {
  const explain = async (model: string, flags: Flags): Promise<void> => {
    const body = await bodyOf(deps, model, flags)
    const answer = await withAdmin(deps, loadOptions(deps.io, flags), (client) =>
      requestOne(client, {
        method: 'POST',
        path: '/routing/simulate',
        body,
        answer: isRouteSimulation,
      }),
    )
    if (flags.json === true) return printJson(deps.io, answer)
    deps.io.out(explanationText(answer))
  }
  const command = new Command('explain')
    .description('which target a request would go to, and why; nothing is sent')
    .argument('<model>', 'a model, an alias, provider/model or *')
    .option('--key <id>', 'the key that asks: its id, or a unique start of it')
    .option('--policy <policy>', 'instead of a key: the name of a policy, JSON or @FILE')
    .option('--protocol <name>', 'that the client speaks (default: openai-chat)')
    .option('--request <json>', 'the body of the request: JSON, @FILE or - for standard input')
    .option('--needs <names>', NEEDS.join(', '), names)
    .option('--input-tokens <n>', 'size of the input (default: 1000)', count)
    .option('--max-tokens <n>', 'the output cap that the client gives', count)
    .option('--stream', 'the client asks for a stream')
    .option('--mode <name>', 'hint: the mode')
    .option('--max-cost <usd>', 'hint: the most that it may cost', amount)
    .option('--max-latency <ms>', 'hint: the latest first byte', amount)
    .option('--min-weight <n>', 'hint: the least weight', amount)
    .option('--session <name>', 'the conversation, for aliases that stick to it')
    .option('--seed <text>', 'takes the place of the request id')
    .option('--count <n>', 'choose so often, and tell who came first', count)
  return withPlace(withJson(command)).action(explain)
}

function amount(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && value >= 0 && value < Infinity) return value
  throw new InvalidArgumentError('Write a number, 0 or more.')
}

async function bodyOf(deps: CliDeps, model: string, flags: Flags): Promise<object> {
  const { needs } = flags
  const unknown = needs?.find((name) => !NEEDS.includes(name))
  if (unknown !== undefined) {
    throw new InvalidArgumentError(`--needs: "${unknown}" is none of ${NEEDS.join(', ')}.`)
  }
  const hints = given({
    mode: flags.mode,
    max_cost: flags.maxCost,
    max_latency_ms: flags.maxLatency,
    min_weight: flags.minWeight,
  })
  return given({
    model,
    key: flags.key,
    policy: await policyOf(deps, flags.policy),
    protocol: flags.protocol,
    request:
      flags.request === undefined
        ? undefined
        : await jsonObject(deps.io, '--request', flags.request),
    needs: needs === undefined ? undefined : Object.fromEntries(needs.map((name) => [name, true])),
    input_tokens: flags.inputTokens,
    max_tokens: flags.maxTokens,
    stream: flags.stream,
    hints: Object.keys(hints).length === 0 ? undefined : hints,
    session: flags.session,
    seed: flags.seed,
    count: flags.count,
  })
}

async function policyOf({ io }: CliDeps, policy: string | undefined): Promise<unknown> {
  if (policy === undefined || !/^[@{-]/.test(policy)) return policy
  return await jsonObject(io, '--policy', policy)
}

function explanationText(answer: RouteSimulation): string {
  const { model, order, routing, error, count: times, distribution } = answer
  const lines = [`model     ${plainText(model)}`]
  if (routing !== null) {
    const { reason, alias, variant, strategy, mode } = routing
    const by = mode === null ? strategy : `${strategy}, mode ${mode}`
    if (alias !== null) lines.push(`alias     ${plainText(alias)}: ${plainText(variant ?? '')}`)
    lines.push(`reason    ${plainText(reason)}`, `strategy  ${plainText(by)}`)
  }
  const tried = order.map((one) => one.target).join(' > ')
  lines.push(
    error === null
      ? `order     ${plainText(tried)}`
      : `refused   ${error.status} ${plainText(`${error.code}: ${error.message}`)}`,
  )
  const head = `${lines.join('\n')}\n`
  const candidates = routing === null ? '' : `\n${candidateTable(routing.candidates)}`
  if (times === 1) return head + candidates
  return `${head}${candidates}\n${shareTable(distribution, times)}`
}

function candidateTable(candidates: readonly RouteCandidateView[]): string {
  return table(candidates, [
    { title: 'target', value: ({ target }) => target },
    { title: 'rejected', value: ({ rejected }) => rejected ?? '' },
    { title: 'why', value: ({ detail }) => detail ?? '' },
    { title: 'cost', value: costText, right: true },
    { title: 'latency ms', value: ({ latency_ms: ms }) => numberText(ms), right: true },
    { title: 'failures', value: ({ failure_share: share }) => numberText(share), right: true },
    { title: 'weight', value: ({ weight }) => numberText(weight), right: true },
    { title: 'in flight', value: ({ in_flight: calls }) => numberText(calls), right: true },
    { title: 'score', value: ({ score, draw }) => numberText(score ?? draw), right: true },
    { title: 'first', value: ({ propensity }) => numberText(propensity), right: true },
  ])
}

function shareTable(rows: RouteSimulation['distribution'], times: number): string {
  return `of ${times}:\n${table(rows, [
    { title: 'first', value: ({ target }) => target ?? 'refused' },
    { title: 'model', value: ({ model }) => model ?? '' },
    { title: 'times', value: ({ count: often }) => String(often), right: true },
    { title: 'share', value: ({ share }) => `${(share * 100).toFixed(1)}%`, right: true },
  ])}`
}

function costText({ cost_nanousd: cost }: RouteCandidateView): string {
  if (cost === undefined) return ''
  return cost === null ? 'unpriced' : `$${(cost / NANO_PER_USD).toFixed(6)}`
}

function numberText(value: number | null | undefined): string {
  return value === null || value === undefined ? '' : String(Math.round(value * 1000) / 1000)
}
