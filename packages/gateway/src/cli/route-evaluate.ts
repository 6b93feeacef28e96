import { Command } from 'commander'
import type { ChoiceEvaluation, RewardView } from '../control-plane/reward-api.ts'
import { eachItem, requestOne } from './admin-client.ts'
import { isChoiceEvaluation, isReward } from './answers.ts'
import type { CliDeps } from './cli-deps.ts'
import { withAdmin } from './connect-admin.ts'
import { count, given, jsonObject, printJson, withJson, withPlace } from './flags.ts'
import { loadOptions, type PlaceFlags } from './load-options.ts'
import { table } from './table.ts'

const LISTED = 50

type Flags = PlaceFlags & {
  readonly json?: boolean
  readonly model?: string
  readonly since?: string
  readonly until?: string
}
type EvaluateFlags = Flags & { readonly policy: string }
type RewardFlags = Flags & { readonly target?: string; readonly limit: number }

function withFilters(command: Command): Command {
  command
    .option('--model <name>', 'only this model')
    .option('--since <when>', 'RFC 3339, or how long ago: 24h, 7d')
    .option('--until <when>', 'RFC 3339, or how long ago')
  return withPlace(withJson(command))
}

export function evaluateCommand(deps: CliDeps): Command {
  const evaluate = async (flags: EvaluateFlags): Promise<void> => {
    const policy = await jsonObject(deps.io, '--policy', flags.policy)
    const { model, since, until } = flags
    const body = given({ policy, model, since, until })
    const path = '/routing/evaluate'
    const answer = await withAdmin(deps, loadOptions(deps.io, flags), (client) =>
      requestOne(client, { method: 'POST', path, body, answer: isChoiceEvaluation }),
    )
    if (flags.json === true) return printJson(deps.io, answer)
    deps.io.out(evaluationText(answer))
  }
  const command = new Command('evaluate')
    .description('what another way to choose had earned, by the log of the bandit')
    .requiredOption('--policy <json>', 'the other way: JSON, @FILE or - for standard input')
  return withFilters(command).action(evaluate)
}

function evaluationText({ records, truncated, policy, logged }: ChoiceEvaluation): string {
  const rows = [{ what: 'this policy', ...policy }]
  if (logged !== null) rows.push({ what: 'what was chosen', ...logged })
  const shown = table(rows, [
    { title: '', value: ({ what }) => what },
    { title: 'reward', value: ({ value }) => value.toFixed(4), right: true },
    { title: 'from', value: ({ low }) => low.toFixed(4), right: true },
    { title: 'to', value: ({ high }) => high.toFixed(4), right: true },
    { title: 'requests', value: (row) => String(row.observations), right: true },
    { title: 'worth', value: (row) => row.effective_observations.toFixed(0), right: true },
  ])
  const more = truncated ? ' There were more; --since and --until choose.' : ''
  return `${shown}\nFrom and to hold the mean with 99 % confidence. ${records} records were read.${more}\n`
}

export function rewardsCommand(deps: CliDeps): Command {
  const rewards = async (flags: RewardFlags): Promise<void> => {
    const items: RewardView[] = []
    const { model, since, until, target } = flags
    const query = { model, since, until, target }
    await withAdmin(deps, loadOptions(deps.io, flags), async (client) => {
      for await (const item of eachItem(client, {
        path: '/routing/rewards',
        query,
        item: isReward,
      })) {
        items.push(item)
        if (items.length >= flags.limit) break
      }
    })
    if (flags.json === true) return printJson(deps.io, { items })
    if (items.length === 0) return deps.io.err('tollgate: no request was routed by the bandit.\n')
    deps.io.out(
      table(items, [
        { title: 'at', value: ({ at }) => at },
        { title: 'request', value: ({ request_id: id }) => id },
        { title: 'target', value: (item) => item.target },
        { title: 'bucket', value: ({ size, tools }) => (tools ? `${size}, tools` : size) },
        { title: 'chance', value: ({ propensity }) => propensity.toFixed(3), right: true },
        { title: 'reward', value: ({ reward }) => reward.toFixed(3), right: true },
        { title: 'error', value: ({ error_class: error }) => error ?? '' },
      ]),
    )
  }
  const command = new Command('rewards')
    .description('attempts that the bandit chose, and what they were worth, the newest first')
    .option('--target <id>', 'only this target')
    .option('--limit <n>', 'at most this many', count, LISTED)
  return withFilters(command).action(rewards)
}
