import type { AliasConfig } from '../config/gateway-config.ts'
import { modelName } from '../config/schema-parts.ts'
import { validate } from '../config/validate.ts'
import type { Note } from '../contracts/store.ts'
import { aliasProblem } from '../plan/compile-routing.ts'
import { ALIAS_NOTES, readStoredAliases } from '../plan/stored-aliases.ts'
import type { AliasView } from './routing-api.ts'
import { AdminError } from './admin-error.ts'
import type { Control } from './control.ts'
import { inTurn } from './in-turn.ts'
import { sortedBy } from './list-page.ts'
import { timeText } from './written-times.ts'

/** Aliases of the file and of the store, by name. One of the file hides a stored one of the same name. */
export async function allAliases(control: Control): Promise<readonly AliasView[]> {
  const notes = await control.store.notes.list(ALIAS_NOTES)
  const times = new Map(notes.map(({ name, updatedAtMs }) => [name, updatedAtMs]))
  const stored = readStoredAliases(notes)
    .filter(({ name }) => !isFileAlias(control, name))
    .map(({ name, alias }) => view(control, name, { alias, updatedAtMs: times.get(name) ?? 0 }))
  const ofFile = Object.entries(control.config().config.aliases).map(([name, alias]) =>
    view(control, name, { alias, updatedAtMs: null }),
  )
  return sortedBy([...stored, ...ofFile], ({ name }) => name)
}

/** Throws `not_found`. */
export async function findAlias(control: Control, name: string): Promise<AliasView> {
  const found = (await allAliases(control)).find((alias) => alias.name === name)
  if (found === undefined) throw new AdminError('not_found', 'No alias has this name.')
  return found
}

/** Makes or replaces a stored alias; it counts from the very next request on. Throws `AdminError`. */
export function putAlias(control: Control, name: string, alias: AliasConfig): Promise<AliasView> {
  return inTurn(control.store, async () => {
    checkName(control, name)
    const others = (await allAliases(control)).filter((other) => other.name !== name)
    checkAlias(control, name, { alias, others })
    const { notes } = control.store
    const before = await notes.get(ALIAS_NOTES, name)
    const nowMs = control.clock.wallMs()
    await notes.put(ALIAS_NOTES, [{ name, body: JSON.stringify(alias), updatedAtMs: nowMs }])
    await recompileOr(control, name, before)
    control.events.emit('alias.updated', { name, created: before === null })
    return view(control, name, { alias, updatedAtMs: nowMs })
  })
}

export function deleteAlias(control: Control, name: string): Promise<void> {
  return inTurn(control.store, async () => {
    checkName(control, name)
    const before = await control.store.notes.get(ALIAS_NOTES, name)
    if (before === null) throw new AdminError('not_found', 'No alias has this name.')
    await control.store.notes.delete(ALIAS_NOTES, name)
    await recompileOr(control, name, before)
    control.events.emit('alias.deleted', { name })
  })
}

/** What cannot be compiled is taken back. */
async function recompileOr(control: Control, name: string, before: Note | null): Promise<void> {
  try {
    await control.recompile()
  } catch (thrown) {
    if (before === null) await control.store.notes.delete(ALIAS_NOTES, name)
    else await control.store.notes.put(ALIAS_NOTES, [before])
    throw thrown
  }
}

type Asked = { readonly alias: AliasConfig; readonly others: readonly AliasView[] }

function checkAlias(control: Control, name: string, { alias, others }: Asked): void {
  const user = others.find(({ variants }) => variants.some(({ model }) => model === name))
  if (user !== undefined) {
    const problem = `name: the alias "${user.name}" has the variant "${name}", and no alias stands for another`
    throw new AdminError('invalid_request', problem, { path: 'name' })
  }
  const aliases = new Set(others.map((other) => other.name))
  const problem = aliasProblem(name, alias, { ...control.plan(), aliases })
  if (problem === null) return
  const path = problem.path.length === 0 ? 'name' : pathText(problem.path)
  throw new AdminError('invalid_request', `${path}: ${problem.message}`, { path })
}

function pathText(path: readonly (string | number)[]): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`))
    .join('')
    .slice(1)
}

function checkName(control: Control, name: string): void {
  const result = validate(modelName, name)
  if (!result.ok) {
    const problem = result.findings[0]?.message ?? 'is no valid name'
    throw new AdminError('invalid_request', `name: ${problem}`, { path: 'name' })
  }
  if (!isFileAlias(control, name)) return
  throw new AdminError(
    'file_owned',
    `The alias "${name}" stands under aliases in the configuration file; change it there.`,
  )
}

function isFileAlias(control: Control, name: string): boolean {
  return Object.hasOwn(control.config().config.aliases, name)
}

type Stored = { readonly alias: AliasConfig; readonly updatedAtMs: number | null }

/** `valid`: false when the plan left it out, because a model of it is not served any more. */
function view(control: Control, name: string, { alias, updatedAtMs }: Stored): AliasView {
  return {
    name,
    owner: updatedAtMs === null ? 'file' : 'api',
    ...alias,
    valid: control.plan().routing.aliases?.has(name) ?? false,
    updated_at: updatedAtMs === null ? null : timeText(updatedAtMs),
  }
}
