import { Command } from 'commander'
import type { KeyExplanation, PolicyView } from '../control-plane/admin-api.ts'
import { listAll, requestOne, withQuery } from './admin-client.ts'
import { isDeleted, isKeyExplanation, isPolicy } from './answers.ts'
import type { CliDeps } from './cli-deps.ts'
import { withAdmin } from './connect-admin.ts'
import { examples, jsonObject, printJson, withJson, withPlace } from './flags.ts'
import { loadOptions, type PlaceFlags } from './load-options.ts'
import { plainText } from './plain-text.ts'
import { policyReplayCommand } from './policy-replay.ts'
import { policyTestCommand } from './policy-test.ts'
import { table } from './table.ts'

type Flags = PlaceFlags & { readonly json?: boolean }
type SetFlags = Flags & { readonly patch?: boolean }
type ExplainFlags = Flags & { readonly model?: string }

export function policyCommand(deps: CliDeps): Command {
  const command = new Command('policy').description('named policies, and what holds for a key')
  const parts = [
    listCommand(deps),
    getCommand(deps),
    setCommand(deps),
    deleteCommand(deps),
    explainCommand(deps),
    policyTestCommand(deps),
    policyReplayCommand(deps),
  ]
  for (const part of parts) command.addCommand(part)
  return examples(command, [
    'policy set contractor @contractor.json',
    `policy set contractor '{"budget": {"daily": 5}}'`,
    'policy explain key_3k --model gpt-4o-mini',
    'policy test --key key_3k --model gpt-4o-mini --max-tokens 4000',
  ])
}

function listCommand(deps: CliDeps): Command {
  const list = async (flags: Flags): Promise<void> => {
    const page = await withAdmin(deps, loadOptions(deps.io, flags), (client) =>
      listAll(client, { path: '/policies', item: isPolicy }),
    )
    if (flags.json === true) return printJson(deps.io, page)
    if (page.items.length === 0) return deps.io.err('tollgate: there are no named policies.\n')
    deps.io.out(
      table(page.items, [
        { title: 'name', value: ({ name }) => name },
        { title: 'owner', value: ({ owner }) => owner },
        { title: 'fields', value: ({ policy }) => Object.keys(policy).join(',') },
        { title: 'updated', value: ({ updated_at: at }) => at },
      ]),
    )
  }
  return withPlace(withJson(new Command('list').alias('ls').description('list'))).action(list)
}

function getCommand(deps: CliDeps): Command {
  const get = async (name: string, flags: Flags): Promise<void> =>
    print(deps, await callPolicy(deps, flags, { method: 'GET', name }), flags)
  const command = new Command('get').description('show a policy').argument('<name>')
  return withPlace(withJson(command)).action(get)
}

function setCommand(deps: CliDeps): Command {
  const set = async (name: string, text: string, flags: SetFlags): Promise<void> => {
    const body = await jsonObject(deps.io, 'policy', text)
    const method = flags.patch === true ? 'PATCH' : 'PUT'
    print(deps, await callPolicy(deps, flags, { method, name, body }), flags)
  }
  const command = new Command('set')
    .description('make or replace a policy; keys that name it follow at once')
    .argument('<name>')
    .argument('<policy>', 'JSON, @FILE or - for standard input')
    .option('--patch', 'merge into the policy that is there (RFC 7396)')
  return withPlace(withJson(command)).action(set)
}

type PolicyCall = { readonly method: string; readonly name: string; readonly body?: unknown }

async function callPolicy(deps: CliDeps, flags: Flags, call: PolicyCall): Promise<PolicyView> {
  const { name, ...rest } = call
  const path = `/policies/${encodeURIComponent(name)}`
  return await withAdmin(deps, loadOptions(deps.io, flags), (client) =>
    requestOne(client, { ...rest, path, answer: isPolicy }),
  )
}

/** A policy is JSON for people too. */
function print({ io }: CliDeps, view: PolicyView, flags: Flags): void {
  printJson(io, flags.json === true ? view : view.policy)
}

function deleteCommand(deps: CliDeps): Command {
  const remove = async (name: string, flags: Flags): Promise<void> => {
    const path = `/policies/${encodeURIComponent(name)}`
    const deleted = await withAdmin(deps, loadOptions(deps.io, flags), (client) =>
      requestOne(client, { method: 'DELETE', path, answer: isDeleted }),
    )
    if (flags.json === true) return printJson(deps.io, deleted)
    deps.io.out(`deleted ${plainText(name)}\n`)
  }
  const command = new Command('delete').description('delete a policy that no key names')
  return withPlace(withJson(command.argument('<name>'))).action(remove)
}

function explainCommand(deps: CliDeps): Command {
  const explain = async (id: string, flags: ExplainFlags): Promise<void> => {
    const path = withQuery(`/keys/${encodeURIComponent(id)}/explain`, { model: flags.model })
    const answer = await withAdmin(deps, loadOptions(deps.io, flags), (client) =>
      requestOne(client, { method: 'GET', path, answer: isKeyExplanation }),
    )
    if (flags.json === true) return printJson(deps.io, answer)
    deps.io.out(explanationText(answer))
  }
  const command = new Command('explain')
    .description('the merged policy of a key, and where every field comes from')
    .argument('<key>', 'id of the key, or a unique start of it')
    .option('--model <name>', 'also say whether this model is allowed')
  return withPlace(withJson(command)).action(explain)
}

function explanationText({ key, layers, fields, conflicts, model }: KeyExplanation): string {
  const head = `key     ${plainText(`${key.name} (${key.id})`)}\nlayers  ${plainText(layers.join(' > '))}\n`
  const asked =
    model === null
      ? ''
      : `model   ${plainText(model.name)}: ${model.allowed ? 'allowed' : 'not allowed'}\n`
  const merged = table(fields, [
    { title: 'field', value: ({ field }) => field },
    { title: 'value', value: ({ value }) => JSON.stringify(value) },
    { title: 'from', value: ({ from }) => from.join(', ') },
  ])
  const lost = conflicts.map((one) => `no effect: ${plainText(JSON.stringify(one))}\n`).join('')
  return `${head}${asked}\n${fields.length === 0 ? 'no policy holds for this key\n' : merged}${lost}`
}
