import { Command, InvalidArgumentError } from 'commander'
import type { AliasView } from '../control-plane/routing-api.ts'
import { listAll, requestOne } from './admin-client.ts'
import { isAlias, isDeleted } from './answers.ts'
import type { CliDeps } from './cli-deps.ts'
import { withAdmin } from './connect-admin.ts'
import { examples, printJson, withJson, withPlace } from './flags.ts'
import { loadOptions, type PlaceFlags } from './load-options.ts'
import { plainText } from './plain-text.ts'
import { table } from './table.ts'

type Flags = PlaceFlags & { readonly json?: boolean }
type Variant = { readonly model: string; readonly weight: number }
type SetFlags = Flags & { readonly sticky?: string; readonly disabled?: boolean }

export function aliasCommand(deps: CliDeps): Command {
  const command = new Command('alias').description('names for weighted variants of models')
  for (const part of [listCommand(deps), setCommand(deps), deleteCommand(deps)]) {
    command.addCommand(part)
  }
  return examples(command, [
    'alias set fast gpt-4o-mini=9 anthropic/claude-haiku-4-5=1 --sticky key',
    'alias delete fast',
  ])
}

function listCommand(deps: CliDeps): Command {
  const list = async (flags: Flags): Promise<void> => {
    const page = await withAdmin(deps, loadOptions(deps.io, flags), (client) =>
      listAll(client, { path: '/aliases', item: isAlias }),
    )
    if (flags.json === true) return printJson(deps.io, page)
    if (page.items.length === 0) return deps.io.err('tollgate: there are no aliases.\n')
    deps.io.out(
      table(page.items, [
        { title: 'name', value: ({ name }) => name },
        { title: 'variants', value: ({ variants }) => variants.map(variantText).join(' ') },
        { title: 'sticky', value: ({ sticky }) => sticky },
        { title: 'state', value: stateText },
        { title: 'owner', value: ({ owner }) => owner },
      ]),
    )
  }
  return withPlace(withJson(new Command('list').alias('ls').description('list'))).action(list)
}

function variantText({ model, weight }: Variant): string {
  return `${model}=${weight}`
}

function stateText({ enabled, valid }: AliasView): string {
  if (!enabled) return 'disabled'
  return valid ? 'enabled' : 'not served'
}

function setCommand(deps: CliDeps): Command {
  const set = async (
    name: string,
    variants: readonly Variant[],
    flags: SetFlags,
  ): Promise<void> => {
    const body = {
      variants,
      ...(flags.sticky === undefined ? {} : { sticky: flags.sticky }),
      ...(flags.disabled === true ? { enabled: false } : {}),
    }
    const view = await withAdmin(deps, loadOptions(deps.io, flags), (client) =>
      requestOne(client, { method: 'PUT', path: pathOf(name), body, answer: isAlias }),
    )
    if (flags.json === true) return printJson(deps.io, view)
    deps.io.out(`${plainText(name)} is ${plainText(view.variants.map(variantText).join(' '))}\n`)
  }
  const command = new Command('set')
    .description('make or replace an alias; it counts from the next request on')
    .argument('<name>')
    .argument('<variants...>', 'MODEL or MODEL=WEIGHT', variant)
    .option('--sticky <by>', 'request (default), key, session or round_robin')
    .option('--disabled', 'the name is none until it is set again')
  return withPlace(withJson(command)).action(set)
}

/** The weight stands behind the last `=`, because models may hold one. */
function variant(text: string, before: readonly Variant[] = []): readonly Variant[] {
  const at = text.lastIndexOf('=')
  const model = at === -1 ? text : text.slice(0, at)
  const weight = at === -1 ? 1 : Number(text.slice(at + 1))
  if (model === '' || !(weight > 0)) {
    throw new InvalidArgumentError('Write MODEL or MODEL=WEIGHT, with a weight above 0.')
  }
  return [...before, { model, weight }]
}

function deleteCommand(deps: CliDeps): Command {
  const remove = async (name: string, flags: Flags): Promise<void> => {
    const deleted = await withAdmin(deps, loadOptions(deps.io, flags), (client) =>
      requestOne(client, { method: 'DELETE', path: pathOf(name), answer: isDeleted }),
    )
    if (flags.json === true) return printJson(deps.io, deleted)
    deps.io.out(`deleted ${plainText(name)}\n`)
  }
  const command = new Command('delete').description('delete an alias').argument('<name>')
  return withPlace(withJson(command)).action(remove)
}

function pathOf(name: string): string {
  return `/aliases/${encodeURIComponent(name)}`
}
