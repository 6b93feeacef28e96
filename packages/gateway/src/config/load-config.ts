import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { isRecord } from '../lib/is-record.ts'
import { ConfigError, formatPath, type ConfigProblem, type PathSegment } from './config-error.ts'
import { configSchema, type ParsedConfig } from './config-schema.ts'
import { applyOverrides, envValue, readEnvOverrides, type EnvOverride } from './env-overrides.ts'
import { foreignLimits, withForeignLimits } from './foreign-limits.ts'
import type { GatewayConfig } from './gateway-config.ts'
import { readSource, type ConfigSource } from './read-source.ts'
import { expandHome, resolveSecret, Secret, type SecretSources } from './secret.ts'
import { validate, type Finding, type Validation } from './validate.ts'

const CONFIG_NAMES = ['tollgate.yaml', 'tollgate.yml', 'tollgate.toml', 'tollgate.json'] as const

export type LoadOptions = {
  /** `--config`. A file that is named must exist. */
  readonly configPath?: string
  /** Values from the command line, by path: `{ 'server.port': 9000 }`. They win over everything. */
  readonly overrides?: Readonly<Record<string, unknown>>
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
}

export type LoadedConfig = {
  readonly config: GatewayConfig
  /** Absolute; null when there is none and defaults hold. */
  readonly file: string | null
  /** The file's text as read, to tell a real change; null without a file. */
  readonly text: string | null
  /** Variables of the environment that set something. */
  readonly fromEnv: readonly string[]
  /** References to secrets that are not there, by path. */
  readonly missingSecrets: readonly { readonly path: string; readonly reference: string }[]
}

/** Throws `ConfigError` with every problem at once. */
export function loadConfig(options: LoadOptions): LoadedConfig {
  const file = findConfigFile(options)
  const text = file === null ? null : readText(file)
  return parseLoaded(options, file, text)
}

/** The same for a text that somebody has read. Throws `ConfigError` with every problem at once. */
export function parseLoaded(
  options: LoadOptions,
  file: string | null,
  text: string | null,
): LoadedConfig {
  return parseConfig(text ?? '', { ...options, file, text })
}

/** The file that `loadConfig` would read: `--config`, `TOLLGATE_CONFIG`, the working directory, the data directory. */
export function findConfigFile(options: LoadOptions): string | null {
  const named = options.configPath ?? options.env['TOLLGATE_CONFIG']
  if (named !== undefined && named !== '') return resolve(options.cwd, expandHome(named))
  const dataDir = resolve(options.cwd, expandHome(options.env['TOLLGATE_DIR'] ?? '.tollgate'))
  for (const folder of [options.cwd, dataDir]) {
    for (const name of CONFIG_NAMES) {
      if (existsSync(join(folder, name))) return join(folder, name)
    }
  }
  return null
}

type ParseContext = LoadOptions & { readonly file: string | null; readonly text: string | null }

function parseConfig(text: string, context: ParseContext): LoadedConfig {
  const { file, env } = context
  const read = readSource(text, file ?? CONFIG_NAMES[0])
  if (!read.ok) throw new ConfigError(file, read.problems)
  const { source } = read
  const sources: SecretSources = { env, folder: file === null ? context.cwd : dirname(file) }
  const written = withoutEmptySections(source.data)
  const reading = readEnvOverrides(env, SECTIONS, written)
  const problems: ConfigProblem[] = reading.unknown.map(({ variable, message }) => ({
    path: variable,
    line: null,
    column: null,
    message,
  }))
  const result = validateLayers(written, reading.overrides, { context, sources })
  if (!result.ok) {
    problems.push(...result.findings.map((found) => place(found, source, reading.overrides)))
  }
  const foreign = foreignLimits(env)
  for (const { variable, message } of foreign.problems) {
    problems.push({ path: variable, line: null, column: null, message })
  }
  if (problems.length > 0 || !result.ok) throw new ConfigError(file, unique(problems))
  return {
    config: complete(result.value, context, sources),
    file,
    text: context.text,
    fromEnv: [...reading.overrides.map((override) => override.variable), ...foreign.variables],
    missingSecrets: missingSecrets(result.value),
  }
}

/** Top-level keys that a variable may set. */
const SECTIONS: readonly string[] = [
  'dir',
  'server',
  'admin',
  'log',
  'storage',
  'limits',
  'keys',
  'ledger',
  'providers',
  'models',
  'policy',
  'policies',
  'teams',
  'virtual_keys',
  'credentials',
  'custom_upstreams',
  'routing',
  'aliases',
  'cache',
  'compression',
  'memory',
  'webhooks',
  'remote',
]

/**
 * File, then environment, then command line.
 *
 * A variable that reads as a number may be meant as text (`0123` for a name), so what fails as a value is tried once more
 * as text. A secret in a variable becomes a reference to that variable.
 */
function validateLayers(
  written: unknown,
  overrides: readonly EnvOverride[],
  use: { readonly context: ParseContext; readonly sources: SecretSources },
): Validation<ParsedConfig> {
  const schema = configSchema(use.sources)
  const argv = Object.entries(use.context.overrides ?? {}).map(([path, value]) => ({
    path: path.split('.'),
    value,
  }))
  const layered = (valueOf: (override: EnvOverride) => unknown): Validation<ParsedConfig> => {
    const fromEnv = overrides.map((override) => ({ path: override.path, value: valueOf(override) }))
    return validate(schema, applyOverrides(applyOverrides(written, fromEnv), argv))
  }
  const forms = new Map<string, unknown>()
  for (const override of overrides) forms.set(override.variable, envValue(override.text))
  const attempt = (): Validation<ParsedConfig> =>
    layered((override) => forms.get(override.variable))
  let result = attempt()
  while (!result.ok && reread(result.findings, overrides, forms)) result = attempt()
  return result
}

/** Gives variables that failed their other reading. False: none has another. */
function reread(
  findings: readonly Finding[],
  overrides: readonly EnvOverride[],
  forms: Map<string, unknown>,
): boolean {
  let changed = false
  for (const override of overrides) {
    const path = formatPath(override.path)
    const found = findings.find((one) => formatPath(one.path) === path)
    if (found === undefined) continue
    const other = found.secret ? `env:${override.variable}` : override.text
    if (!found.secret && !found.message.startsWith('expected a text')) continue
    if (forms.get(override.variable) === other) continue
    forms.set(override.variable, other)
    changed = true
  }
  return changed
}

/** `server:` with nothing under it is YAML for null, and means the defaults. */
function withoutEmptySections(data: unknown): unknown {
  if (!isRecord(data)) return data
  return Object.fromEntries(Object.entries(data).filter(([, value]) => value !== null))
}

function place(
  found: Finding,
  source: ConfigSource,
  overrides: readonly EnvOverride[],
): ConfigProblem {
  const path = formatPath(found.path)
  const override = overrides.find((one) => startsWith(found.path, one.path))
  if (override !== undefined) {
    return { path, line: null, column: null, message: `${found.message} (${override.variable})` }
  }
  const at = source.positionOf(found.path, found.onKey)
  return { path, line: at.line, column: at.column, message: found.message }
}

function startsWith(path: readonly PathSegment[], start: readonly PathSegment[]): boolean {
  return start.every((segment, i) => path[i] === segment)
}

function unique(problems: readonly ConfigProblem[]): readonly ConfigProblem[] {
  const seen = new Map(problems.map((one) => [`${one.path}\n${one.message}`, one]))
  return [...seen.values()].toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0))
}

/** What hangs on the data directory, which is relative to the working directory. */
function complete(
  parsed: ParsedConfig,
  context: ParseContext,
  sources: SecretSources,
): GatewayConfig {
  const dir = resolve(context.cwd, expandHome(parsed.dir))
  const adminToken = context.env['TOLLGATE_ADMIN_TOKEN'] ?? ''
  return {
    ...parsed,
    policy: { ...parsed.policy, ...withForeignLimits(parsed.policy, context.env) },
    dir,
    storage: { ...parsed.storage, url: storageUrl(parsed, dir, context) },
    admin: {
      ...parsed.admin,
      token:
        parsed.admin.token ??
        (adminToken === '' ? null : resolveSecret('env:TOLLGATE_ADMIN_TOKEN', sources)),
    },
    keys: {
      ...parsed.keys,
      hash_key: parsed.keys.hash_key ?? resolveSecret(defaultHashKey(dir, context), sources),
    },
  }
}

function storageUrl(
  { storage: { url } }: ParsedConfig,
  dir: string,
  { cwd }: ParseContext,
): string | Secret {
  if (url instanceof Secret) return url
  const file = url?.slice('sqlite:'.length) ?? join(dir, 'tollgate.db')
  return `sqlite:${resolve(cwd, expandHome(file))}`
}

function defaultHashKey(dir: string, context: ParseContext): string {
  const fromEnv = context.env['TOLLGATE_HASH_KEY'] ?? ''
  return fromEnv === '' ? `file:${join(dir, 'hash.key')}` : 'env:TOLLGATE_HASH_KEY'
}

function missingSecrets(config: ParsedConfig): LoadedConfig['missingSecrets'] {
  const named = [
    ...Object.entries(config.providers).map(([name, { credential }]) => ({
      path: formatPath(['providers', name, 'credential']),
      credential,
    })),
    ...config.credentials.allowed.map(({ credential }, index) => ({
      path: formatPath(['credentials', 'allowed', index]),
      credential,
    })),
  ]
  return named.flatMap(({ path, credential }) =>
    credential?.missing === true ? [{ path, reference: credential.reference }] : [],
  )
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    const reason =
      isRecord(cause) && cause['code'] === 'ENOENT' ? 'there is no such file' : String(cause)
    throw new ConfigError(file, [{ path: '', line: null, column: null, message: reason }])
  }
}
