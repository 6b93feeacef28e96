import { Command, Option } from 'commander'
import type { KeyView, KeyWithSecret, SubjectBody } from '../control-plane/admin-api.ts'
import { listAll, requestOne } from './admin-client.ts'
import { type Guard, isKey, isKeyWithSecret } from './answers.ts'
import type { CliDeps, Io } from './cli-deps.ts'
import { wrongUsage } from './cli-error.ts'
import { withAdmin } from './connect-admin.ts'
import { examples, given, jsonObject, names, pair, type Pairs, printJson } from './flags.ts'
import { withJson, withPlace } from './flags.ts'
import { keyFacts, keyTable } from './key-text.ts'
import { loadOptions, type PlaceFlags } from './load-options.ts'

type OutputFlags = PlaceFlags & { readonly json?: boolean }
type IdFlags = OutputFlags & { readonly id?: string; readonly hash?: string }
type ContentFlags = {
  readonly name?: string
  readonly policy?: string
  readonly policies?: readonly string[]
  readonly expires?: string
  readonly rotateEvery?: string
  readonly team?: string
  readonly user?: string
  readonly role?: string
  readonly rolegroup?: string
  readonly scopes?: readonly string[]
  readonly metadata?: Pairs
}
/** Of the commands on one key; each knows some of them. */
type OneKeyFlags = IdFlags & ContentFlags & { readonly replace?: boolean; readonly grace?: string }
type ListFlags = OutputFlags & {
  readonly name?: string
  readonly state?: string
  readonly team?: string
  readonly user?: string
}

export function keyCommand(deps: CliDeps): Command {
  const command = new Command('key').alias('token').description('virtual keys: what clients hold')
  const parts = [
    createCommand(deps),
    listCommand(deps),
    getCommand(deps),
    updateCommand(deps),
    rotateCommand(deps),
    revokeCommand(deps),
    switchCommand(deps, 'enable', 'accept a disabled key again'),
    switchCommand(deps, 'disable', 'refuse a key until it is enabled'),
  ]
  for (const part of parts) command.addCommand(part)
  return examples(command, [
    'key create --name ci --expires 30d',
    `key create --name ada --team research --policy '{"budget": {"daily": 5}}'`,
    'key list --json',
    `key update --id key_3k --policy '{"max_output_tokens": 2000}'`,
    'key rotate --id key_3k --grace 1h',
  ])
}

function createCommand(deps: CliDeps): Command {
  const command = new Command('create')
    .description('create a key; it is shown only now')
    .requiredOption('--name <name>', 'for people; need not be unique')
    .action((flags: OutputFlags & ContentFlags) => create(deps, flags))
  return examples(withPlace(withJson(withContent(command))), [
    'key create --name ci --policies contractor --json',
  ])
}

async function create(deps: CliDeps, flags: OutputFlags & ContentFlags): Promise<void> {
  const body = await createBody(deps.io, flags)
  const key = await withAdmin(deps, loadOptions(deps.io, flags), (client) =>
    requestOne(client, { method: 'POST', path: '/keys', body, answer: isKeyWithSecret }),
  )
  printSecret(deps.io, key, flags)
}

function listCommand(deps: CliDeps): Command {
  const command = new Command('list')
    .alias('ls')
    .description('list keys')
    .option('--name <name>', 'only keys of this name')
    .addOption(
      new Option('--state <state>', 'only keys in this state').choices([
        'active',
        'disabled',
        'expired',
        'overdue',
        'revoked',
      ]),
    )
    .option('--team <team>', 'only keys of this team')
    .option('--user <user>', 'only keys of this user')
    .action((flags: ListFlags) => list(deps, flags))
  return withPlace(withJson(command))
}

async function list(deps: CliDeps, flags: ListFlags): Promise<void> {
  const { name, state, team, user } = flags
  const page = await withAdmin(deps, loadOptions(deps.io, flags), (client) =>
    listAll(client, { path: '/keys', query: { name, state, team, user }, item: isKey }),
  )
  if (flags.json === true) return printJson(deps.io, page)
  if (page.items.length === 0) return deps.io.err('tollgate: there are no keys.\n')
  deps.io.out(keyTable(page.items))
}

function getCommand(deps: CliDeps): Command {
  const command = new Command('get').description('show one key')
  return onKey(command, async (id, flags: IdFlags) => {
    const key = await atKey(deps, flags, { method: 'GET', id, answer: isKey })
    printKey(deps.io, key, flags)
  })
}

function updateCommand(deps: CliDeps): Command {
  const command = new Command('update')
    .description('change what the flags say, and nothing else')
    .option('--name <name>', 'new name')
    .option('--replace', 'the policy replaces the whole inline policy instead of being merged in')
  const update = async (id: string, flags: OneKeyFlags): Promise<void> => {
    const body = await updateBody(deps.io, flags)
    if (Object.keys(body).length === 0)
      throw wrongUsage('say what to change: see key update --help')
    const key = await atKey(deps, flags, { method: 'PATCH', id, body, answer: isKey })
    printKey(deps.io, key, flags)
  }
  return examples(onKey(withContent(command), update), [
    `key update --id key_3k --policy '{"max_output_tokens": 2000}'`,
    'key update --id key_3k --expires clear',
    'key update --id key_3k --metadata stage=prod --metadata owner=',
  ])
}

function rotateCommand(deps: CliDeps): Command {
  const command = new Command('rotate')
    .description('give the key a new secret under the same id; it is shown only now')
    .option('--grace <duration>', 'how long the old secret stays valid (default: not at all)')
  return onKey(command, async (id, flags: OneKeyFlags) => {
    const body = given({ grace: flags.grace })
    const key = await atKey(deps, flags, {
      method: 'POST',
      id,
      act: 'rotate',
      body,
      answer: isKeyWithSecret,
    })
    printSecret(deps.io, key, flags)
  })
}

function revokeCommand(deps: CliDeps): Command {
  const command = new Command('revoke').alias('delete').description('refuse a key for ever')
  return onKey(command, async (id, flags: IdFlags) => {
    const key = await atKey(deps, flags, { method: 'DELETE', id, answer: isKey })
    printKey(deps.io, key, flags)
  })
}

function switchCommand(deps: CliDeps, act: 'enable' | 'disable', description: string): Command {
  return onKey(new Command(act).description(description), async (id, flags: IdFlags) => {
    const key = await atKey(deps, flags, { method: 'POST', id, act, answer: isKey })
    printKey(deps.io, key, flags)
  })
}

/** For commands on one key: `--id`, `--hash` or the id itself. */
function onKey(command: Command, act: (id: string, flags: OneKeyFlags) => Promise<void>): Command {
  command
    .argument('[id]', 'id of the key, or a unique start of it')
    .option('--id <prefix>', 'the same')
    .option('--hash <prefix>', 'a unique start of the hash of the key')
    .action((id: string | undefined, flags: OneKeyFlags) => act(idFrom(id, flags), flags))
  return withPlace(withJson(command))
}

function idFrom(argument: string | undefined, flags: IdFlags): string {
  const said = [argument, flags.id, flags.hash].filter((one) => one !== undefined && one !== '')
  const [id] = said
  if (id === undefined) throw wrongUsage('which key? Say --id with its id or a unique start of it.')
  if (said.length > 1) throw wrongUsage('name the key once: --id, --hash or the id alone.')
  return id
}

type KeyCall<T> = {
  readonly method: string
  readonly id: string
  readonly act?: string
  readonly body?: unknown
  readonly answer: Guard<T>
}

async function atKey<T>(deps: CliDeps, flags: PlaceFlags, call: KeyCall<T>): Promise<T> {
  const { id, act, ...rest } = call
  const path = `/keys/${encodeURIComponent(id)}${act === undefined ? '' : `/${act}`}`
  return await withAdmin(deps, loadOptions(deps.io, flags), (client) =>
    requestOne(client, { ...rest, path }),
  )
}

function withContent(command: Command): Command {
  return command
    .option('--policy <json>', 'inline policy: JSON, @FILE or - for standard input')
    .option('--policies <names>', 'stored policies, separated by commas', names)
    .option('--expires <when>', '30d, 1mo, an RFC 3339 time, or clear')
    .option('--rotate-every <duration>', 'when a new secret is due, such as 90d, or clear')
    .option('--team <name>', 'team of the caller')
    .option('--user <name>', 'user of the caller')
    .option('--role <name>', 'role of the caller')
    .option('--rolegroup <name>', 'role group of the caller')
    .option('--scopes <names>', 'endpoints that the key may use, separated by commas', names)
    .option('--metadata <name=value>', 'added to usage records; may be repeated', pair)
}

async function createBody(io: Io, flags: ContentFlags): Promise<object> {
  return given({
    name: flags.name,
    policy: await policyOf(io, flags),
    policies: flags.policies,
    subject: subjectOf(flags),
    scopes: flags.scopes,
    expires: flags.expires,
    rotate_every: orNull(flags.rotateEvery),
    metadata: flags.metadata,
  })
}

/** In a patch an empty value removes: `--team ''`, `--metadata owner=`, `--policies ''`. */
async function updateBody(io: Io, flags: OneKeyFlags): Promise<object> {
  const policy = await policyOf(io, flags)
  if (flags.replace === true && policy === undefined) throw wrongUsage('--replace needs --policy.')
  return given({
    name: flags.name,
    policy,
    replace: flags.replace,
    policies: flags.policies,
    subject: subjectOf(flags),
    scopes: flags.scopes,
    expires: flags.expires,
    rotate_every: orNull(flags.rotateEvery),
    metadata: flags.metadata === undefined ? undefined : emptyIsNull(flags.metadata),
  })
}

async function policyOf(io: Io, { policy }: ContentFlags): Promise<object | undefined> {
  return policy === undefined ? undefined : await jsonObject(io, '--policy', policy)
}

function subjectOf({ team, user, role, rolegroup }: ContentFlags): SubjectBody | undefined {
  const said = given({ team, user, role, rolegroup })
  return Object.keys(said).length === 0 ? undefined : emptyIsNull(said)
}

function emptyIsNull(map: Readonly<Record<string, string>>): Record<string, string | null> {
  return Object.fromEntries(
    Object.entries(map).map(([name, value]) => [name, value === '' ? null : value]),
  )
}

function orNull(text: string | undefined): string | null | undefined {
  return text === 'clear' || text === 'none' ? null : text
}

function printKey(io: Io, key: KeyView, flags: OutputFlags): void {
  if (flags.json === true) return printJson(io, key)
  io.out(keyFacts(key))
}

/** The secret alone stands on standard output's `key` line, so that it can be copied. */
function printSecret(io: Io, key: KeyWithSecret, flags: OutputFlags): void {
  if (flags.json === true) return printJson(io, key)
  io.out(`${keyFacts(key)}key           ${key.key}\n`)
  io.err('tollgate: keep the key now, it is not shown again.\n')
}
