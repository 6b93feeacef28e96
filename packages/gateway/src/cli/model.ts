import { Command } from 'commander'
import type { ModelView } from '../control-plane/admin-api.ts'
import { listAll } from './admin-client.ts'
import { wholeText } from './amounts.ts'
import { isModel } from './answers.ts'
import type { CliDeps } from './cli-deps.ts'
import { withAdmin } from './connect-admin.ts'
import { examples, printJson, withJson, withPlace } from './flags.ts'
import { loadOptions, type PlaceFlags } from './load-options.ts'
import { table } from './table.ts'

export type ModelFlags = PlaceFlags & {
  readonly json?: boolean
  readonly provider?: string
  readonly declared?: boolean
}

export function modelCommand(deps: CliDeps): Command {
  const list = new Command('list')
    .alias('ls')
    .description('list what may be asked for, with prices')
    .option('--provider <name>', 'only models with a target there')
    .option('--declared', 'only models of the configuration')
    .action((flags: ModelFlags) => listModels(deps, flags))
  const command = new Command('model').description('models that are served')
  command.addCommand(withPlace(withJson(list)))
  return examples(command, ['model list', 'model list --provider openai --json'])
}

export async function listModels(deps: CliDeps, flags: ModelFlags): Promise<void> {
  const query = {
    provider: flags.provider,
    declared: flags.declared === true ? 'true' : undefined,
  }
  const page = await withAdmin(deps, loadOptions(deps.io, flags), (client) =>
    listAll(client, { path: '/models', query, item: isModel }),
  )
  if (flags.json === true) return printJson(deps.io, page)
  if (page.items.length === 0) return deps.io.err('tollgate: no models are known.\n')
  deps.io.out(modelTable(page.items))
}

function modelTable(models: readonly ModelView[]): string {
  return table(models, [
    { title: 'name', value: ({ name }) => name },
    { title: 'targets', value: ({ targets }) => targets.map(({ id }) => id).join(',') },
    { title: 'strategy', value: strategyText },
    { title: 'context', value: ({ context }) => orNull(context), right: true },
    { title: 'usd/mtok in', value: ({ price }) => price?.input ?? null, right: true },
    { title: 'out', value: ({ price }) => price?.output ?? null, right: true },
    { title: 'cache read', value: ({ price }) => price?.cache_read ?? null, right: true },
  ])
}

/** With one target there is nothing to choose. */
function strategyText({ strategy, targets }: ModelView): string | null {
  return targets.length > 1 ? strategy : null
}

function orNull(tokens: number | null): string | null {
  return tokens === null ? null : wholeText(tokens)
}
