import { isRecord } from '../lib/is-record.ts'
import { nearestName } from '../lib/did-you-mean.ts'
import type { PathSegment } from './config-error.ts'

const ENV_PREFIX = 'TOLLGATE_'

/** Variables with a meaning of their own. They are not paths into the configuration. */
const RESERVED_ENV: readonly string[] = [
  'TOLLGATE_CONFIG',
  'TOLLGATE_ADMIN_TOKEN',
  'TOLLGATE_ADMIN_URL',
  'TOLLGATE_PROXY_URL',
  'TOLLGATE_KEY',
  'TOLLGATE_URL',
  'TOLLGATE_HASH_KEY',
  'TOLLGATE_DEBUG',
]
/** For the start script and the tests of this repository. */
const RESERVED_PREFIXES = ['TOLLGATE_NODE', 'TOLLGATE_TEST_', 'TOLLGATE_E2E_', 'TOLLGATE_BENCH_']

/** One variable that sets one member of the configuration. */
export type EnvOverride = {
  readonly variable: string
  readonly path: readonly PathSegment[]
  readonly text: string
}

export type EnvReading = {
  readonly overrides: readonly EnvOverride[]
  readonly unknown: readonly { readonly variable: string; readonly message: string }[]
}

/**
 * `TOLLGATE_SERVER__PORT=9000` sets `server.port`: two underscores are one step down, case does not matter.
 *
 * `topLevel` are the known sections; a variable that starts with none of them is unknown. Variables that `data` refers to
 * as `env:NAME` are secrets, not overrides.
 */
export function readEnvOverrides(
  env: Readonly<Record<string, string | undefined>>,
  topLevel: readonly string[],
  data: unknown,
): EnvReading {
  const referenced = new Set<string>()
  collectReferences(data, referenced)
  const overrides: EnvOverride[] = []
  const unknown: { variable: string; message: string }[] = []
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith(ENV_PREFIX) || text === undefined) continue
    if (isReserved(variable) || referenced.has(variable)) continue
    const path = variable.slice(ENV_PREFIX.length).toLowerCase().split('__')
    const section = path[0] ?? ''
    if (topLevel.includes(section) && !path.includes('')) {
      overrides.push({ variable, path: spelledAs(data, path), text })
    } else {
      unknown.push({ variable, message: `unknown variable${suggestion(variable, topLevel)}` })
    }
  }
  return { overrides, unknown }
}

/** The data with the overrides laid over it; `data` is not changed. */
export function applyOverrides(
  data: unknown,
  overrides: readonly { readonly path: readonly PathSegment[]; readonly value: unknown }[],
): unknown {
  return overrides.reduce((result, { path, value }) => setAt(result, path, value), data)
}

/** Numbers, true, false, null, lists and objects as JSON writes them; everything else is text. */
export function envValue(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return value
  } catch {
    return text
  }
}

function suggestion(variable: string, topLevel: readonly string[]): string {
  const [section = '', ...rest] = variable.slice(ENV_PREFIX.length).split('__')
  const nearest = nearestName(section, topLevel)?.toUpperCase()
  const meant =
    nearest === undefined
      ? nearestName(variable, RESERVED_ENV)
      : ENV_PREFIX + [nearest, ...rest].join('__')
  return meant === null ? '' : `. Did you mean ${meant}?`
}

function isReserved(variable: string): boolean {
  return (
    RESERVED_ENV.includes(variable) ||
    RESERVED_PREFIXES.some((prefix) => variable.startsWith(prefix))
  )
}

function collectReferences(value: unknown, into: Set<string>): void {
  if (typeof value === 'string' && value.startsWith('env:')) into.add(value.slice('env:'.length))
  if (Array.isArray(value)) for (const item of value) collectReferences(item, into)
  else if (isRecord(value)) for (const item of Object.values(value)) collectReferences(item, into)
}

/** Names of entries may have capitals and dashes; where one exists, the variable means it. */
function spelledAs(data: unknown, path: readonly string[]): readonly PathSegment[] {
  let node = data
  return path.map((segment) => {
    if (Array.isArray(node) && /^\d+$/.test(segment)) {
      const index = Number(segment)
      node = node[index]
      return index
    }
    const known = isRecord(node) ? Object.keys(node) : []
    const name = known.find((key) => foldName(key) === foldName(segment)) ?? segment
    node = isRecord(node) ? node[name] : undefined
    return name
  })
}

/** A variable's name cannot hold a dash or a dot. */
function foldName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '_')
}

function setAt(data: unknown, path: readonly PathSegment[], value: unknown): unknown {
  const [segment, ...rest] = path
  if (segment === undefined) return value
  if (Array.isArray(data) && typeof segment === 'number') {
    const copy: unknown[] = [...data]
    copy[segment] = setAt(copy[segment], rest, value)
    return copy
  }
  // What can hold no members is wrong, and must stay to be refused.
  if (data !== undefined && data !== null && !isRecord(data)) return data
  const members = data ?? {}
  return { ...members, [segment]: setAt(members[segment], rest, value) }
}
