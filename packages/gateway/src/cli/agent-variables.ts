/** Which variables make a program talk to the gateway. `key` and `url` are names of variables. */
type VariablePair = {
  readonly key: string
  readonly url: string
  /** Appended to the proxy's URL. */
  readonly path: string
  /** Other variables that the same programs read for the URL. */
  readonly alsoUrl?: readonly string[]
  /** Variables that hold a real credential and would win, or be sent beside the virtual key. */
  readonly hides: readonly string[]
}

const OPENAI: VariablePair = {
  key: 'OPENAI_API_KEY',
  url: 'OPENAI_BASE_URL',
  path: '/v1',
  // The name before the SDK's 1.0; aider and LiteLLM read it still.
  alsoUrl: ['OPENAI_API_BASE'],
  hides: ['OPENAI_ORG_ID', 'OPENAI_ORGANIZATION', 'OPENAI_PROJECT_ID'],
}

const ANTHROPIC: VariablePair = {
  key: 'ANTHROPIC_API_KEY',
  url: 'ANTHROPIC_BASE_URL',
  path: '',
  hides: ['ANTHROPIC_AUTH_TOKEN', 'CLAUDE_CODE_OAUTH_TOKEN'],
}

const AZURE: VariablePair = {
  key: 'AZURE_OPENAI_API_KEY',
  url: 'AZURE_OPENAI_ENDPOINT',
  path: '',
  hides: ['AZURE_OPENAI_AD_TOKEN'],
}

const GEMINI: VariablePair = {
  key: 'GEMINI_API_KEY',
  url: 'GEMINI_BASE_URL',
  path: '',
  // The Gemini CLI and Google's SDK.
  alsoUrl: ['GOOGLE_GEMINI_BASE_URL'],
  hides: ['GOOGLE_API_KEY'],
}

/** Names that the caller gives; the URL is the proxy's own. */
const OWN_NAMES: VariablePair = {
  key: 'TOLLGATE_KEY',
  url: 'TOLLGATE_PROXY_URL',
  path: '',
  hides: [],
}
export const OWN_NAMES_PROVIDER = 'own-names'

const PAIRS: ReadonlyMap<string, readonly VariablePair[]> = new Map([
  ['generic', [OPENAI]],
  ['openai', [OPENAI]],
  ['anthropic', [ANTHROPIC]],
  ['azure', [AZURE]],
  ['azure_openai', [AZURE]],
  ['gemini', [GEMINI]],
  ['google_gemini', [GEMINI]],
  ['both', [OPENAI, ANTHROPIC]],
  ['all', [OPENAI, ANTHROPIC, AZURE, GEMINI]],
])

/** What `--provider` takes. */
export const PROVIDER_CHOICES: readonly string[] = [...PAIRS.keys()]

function pairsOf(provider: string): readonly VariablePair[] {
  return PAIRS.get(provider) ?? [OWN_NAMES]
}

/** Protocols that this version does not serve: their programs are told so. */
export const UNSERVED: ReadonlyMap<string, string> = new Map([
  ['azure', "Azure's paths are not served in this version; use the OpenAI variables."],
  ['azure_openai', "Azure's paths are not served in this version; use the OpenAI variables."],
])

export type Variables = Readonly<Record<string, string>>

export type VariableChoice = {
  readonly provider: string
  readonly proxyUrl: string
  readonly key: string
  /** Own names: `--env-key` and `--env-base-url`. */
  readonly envKey?: string | undefined
  readonly envBaseUrl?: string | undefined
}

/** For `init`: the main names only, so that what is written stays readable. */
export function variables(choice: VariableChoice): Variables {
  const { provider, envKey, envBaseUrl, proxyUrl, key } = choice
  const [first = OWN_NAMES, ...others] = pairsOf(provider)
  const own = envKey !== undefined || envBaseUrl !== undefined
  const all: Record<string, string> = {
    [envKey ?? first.key]: key,
    [envBaseUrl ?? first.url]: proxyUrl + first.path,
  }
  for (const pair of own ? [] : others) {
    all[pair.key] = key
    all[pair.url] = proxyUrl + pair.path
  }
  return all
}

/** For `run`: every name that a program may read. */
export function childVariables(choice: VariableChoice): Variables {
  const all: Record<string, string> = {}
  for (const { alsoUrl = [], path } of pairsOf(choice.provider)) {
    for (const name of alsoUrl) all[name] = choice.proxyUrl + path
  }
  return Object.assign(all, variables(choice))
}

/** Variables to take out of the child's environment, so that no real credential reaches it. */
export function hiddenVariables(provider: string): readonly string[] {
  const pairs = pairsOf(provider)
  return [...pairs.map(({ key }) => key), ...pairs.flatMap(({ hides }) => hides)]
}

const PROGRAMS: ReadonlyMap<string, string> = new Map([
  ['gemini', 'all'],
  ['gcloud', 'all'],
  ['az', 'all'],
  ['azure', 'all'],
])

/** The providers whose variables a program gets when `--provider` does not say. */
export function providerForProgram(program: string): string {
  return PROGRAMS.get(program) ?? 'both'
}

/**
 * Codex reads no variable for the address, only its configuration, which its command line can lay over.
 *
 * @see https://github.com/openai/codex/blob/main/docs/config.md (as its release 0.169 takes it)
 */
export function codexSettings(proxyUrl: string): readonly (readonly [string, string])[] {
  return [
    ['model_provider', '"tollgate"'],
    ['model_providers.tollgate.name', '"Tollgate"'],
    ['model_providers.tollgate.base_url', JSON.stringify(`${proxyUrl}/v1`)],
    ['model_providers.tollgate.env_key', '"TOLLGATE_KEY"'],
    ['model_providers.tollgate.wire_api', '"responses"'],
  ]
}

/** The command of `run`, with what a program must be told by its command line. */
export function wordsFor(words: readonly string[], proxyUrl: string): readonly string[] {
  const [program = '', ...args] = words
  if (programName(program) !== 'codex') return words
  const settings = codexSettings(proxyUrl).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  return [program, ...settings, ...args]
}

/** `/usr/bin/claude` and `claude.cmd` are `claude`. */
export function programName(command: string): string {
  const last = command.split(/[\\/]/).at(-1) ?? command
  return last.replace(/\.(exe|cmd|bat|ps1)$/i, '').toLowerCase()
}
