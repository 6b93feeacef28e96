import { isRecord } from '../lib/is-record.ts'
import { ConfigError, formatPath, type ConfigProblem } from './config-error.ts'
import { configSchema, type ParsedConfig } from './config-schema.ts'
import { withForeignLimits } from './foreign-limits.ts'
import type { GatewayConfig } from './gateway-config.ts'
import type { Secret, SecretSources } from './secret.ts'
import { validate } from './validate.ts'

/** Sections that can be tried in the place of the running ones. */
export const CANDIDATE_SECTIONS = [
  'models',
  'aliases',
  'routing',
  'policy',
  'policies',
  'teams',
] as const
type Section = (typeof CANDIDATE_SECTIONS)[number]

/**
 * The running configuration with some sections in another version. Credentials are looked up only where the running one
 * names them too. Throws `ConfigError` with every problem.
 */
export function candidateConfig(
  running: GatewayConfig,
  sections: Readonly<Record<string, unknown>>,
  sources: SecretSources,
): GatewayConfig {
  const problems = [...unknownSections(sections), ...newCredentials(running, sections)]
  // Before the schema, because that looks secrets up.
  if (problems.length > 0) throw new ConfigError(null, problems)
  const result = validate(configSchema(sources), sections)
  if (!result.ok) {
    const found = result.findings.map(({ path, message }) => problem(path, message))
    throw new ConfigError(null, found)
  }
  return { ...running, ...given(result.value, sections, sources) }
}

function given(
  parsed: ParsedConfig,
  sections: Readonly<Record<string, unknown>>,
  { env }: SecretSources,
): Partial<Pick<GatewayConfig, Section>> {
  const names = CANDIDATE_SECTIONS.filter((name) => Object.hasOwn(sections, name))
  const taken: Partial<Pick<GatewayConfig, Section>> = Object.fromEntries(
    names.map((name) => [name, parsed[name]]),
  )
  if (taken.policy === undefined) return taken
  return { ...taken, policy: { ...taken.policy, ...withForeignLimits(taken.policy, env) } }
}

function unknownSections(sections: Readonly<Record<string, unknown>>): ConfigProblem[] {
  const known: ReadonlySet<string> = new Set(CANDIDATE_SECTIONS)
  return Object.keys(sections)
    .filter((name) => !known.has(name))
    .map((name) => problem([name], `only ${CANDIDATE_SECTIONS.join(', ')} can be tried`))
}

/** Whoever may ask what would be may not make this process read other files. */
function newCredentials(
  running: GatewayConfig,
  { models }: Readonly<Record<string, unknown>>,
): readonly ConfigProblem[] {
  const known = new Set(referencesOf(running))
  if (!isRecord(models)) return []
  return Object.entries(models).flatMap(([name, model]) => {
    const targets = isRecord(model) && Array.isArray(model['targets']) ? model['targets'] : []
    return targets.flatMap((target: unknown, index): readonly ConfigProblem[] => {
      const credential = isRecord(target) ? target['credential'] : undefined
      if (typeof credential !== 'string' || known.has(credential)) return []
      const path = ['models', name, 'targets', index, 'credential']
      return [problem(path, 'only credentials that the running configuration names can be tried')]
    })
  })
}

function referencesOf({ providers, models, credentials }: GatewayConfig): readonly string[] {
  const secrets: (Secret | null | undefined)[] = [
    ...Object.values(providers).map((one) => one.credential),
    ...Object.values(models).flatMap(({ targets }) => targets.map((one) => one.credential)),
    ...credentials.allowed.map((one) => one.credential),
  ]
  return ['none', ...secrets.flatMap((one) => one?.reference ?? [])]
}

function problem(path: readonly (string | number)[], message: string): ConfigProblem {
  return { path: formatPath(path), line: null, column: null, message }
}
