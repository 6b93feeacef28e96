import type { ProviderConfig } from '../config/gateway-config.ts'
import type { TimeoutsConfig } from '../config/policy-config.ts'
import { isPrintable } from '../config/schema-parts.ts'
import { NO_SECRET, resolveSecret } from '../config/secret.ts'
import type { AuthStyle, ProviderFacts } from '../contracts/provider.ts'
import { didYouMean } from '../lib/did-you-mean.ts'
import { parseDurationMs } from '../lib/duration.ts'
import { isSpecialHost } from '../lib/special-addresses.ts'
import { compileGrant } from './compile-grant.ts'
import type { ProviderPlan, Timeouts } from './gateway-plan.ts'
import { PlanError } from './plan-error.ts'
import { compileSigning, joinedCredential, regionOf } from './request-signing.ts'

/**
 * Long enough for an answer that is not streamed, whose first byte comes when all of it is written, and for thinking of
 * which a stream shows nothing.
 */
const DEFAULT_TIMEOUTS: Required<TimeoutsConfig> = {
  connect: '5s',
  first_byte: '5m',
  idle: '5m',
  total: '10m',
}
const DEFAULT_DRAIN_CAP = '30s'

export type ProviderSources = {
  readonly catalogue: ReadonlyMap<string, ProviderFacts>
  readonly env: Readonly<Record<string, string | undefined>>
}

/** The catalogue's entry with the operator's fields laid over it, one by one. Throws `PlanError`. */
export function compileProvider(
  name: string,
  config: ProviderConfig,
  sources: ProviderSources,
): ProviderPlan {
  const at = `providers.${name}`
  const facts = findFacts(name, config, sources)
  const protocols = protocolsOf(config, facts, at)
  const url = compileUrl(config, facts, at)
  refuseSpecial(url, behaviourOf(config, facts).allowPrivate, at)
  const { credential, credentialMissing, reference } = findCredential(config, facts, sources)
  const auth = authOf(config, facts, { protocols, credential, at })
  const tokenGrant = compileGrant(auth, credential, `${at}.credential`)
  if (credential !== null && tokenGrant === null && !isPrintable(credential)) {
    throw new PlanError(`${at}.credential`, 'the secret holds a line break or a control character')
  }
  const region = regionOf(config.params?.['region'], url.hostname)
  const sign = compileSigning(auth, credential, { region, at })
  return {
    name,
    origin: url.origin,
    basePath: url.pathname.replace(/\/+$/, ''),
    query: queryText({ ...facts?.query, ...config.query, ...queryAuth(auth, credential) }),
    protocols,
    auth,
    credential: auth.kind === 'none' ? null : credential,
    credentialMissing: auth.kind === 'none' ? null : credentialMissing,
    credentialReference: auth.kind === 'none' ? null : reference,
    region,
    sign,
    tokenGrant,
    headers: headersOf(config, facts, {
      protocols,
      auth: sign === null && tokenGrant === null ? sentAuth(auth) : auth,
      credential,
    }),
    paths: fillPaths({ ...facts?.paths, ...config.paths }, config, at),
    failures: { ...facts?.failures, ...config.failures },
    ...behaviourOf(config, facts),
  }
}

type Behaviour = Pick<
  ProviderPlan,
  | 'outputCapMember'
  | 'refusesUsageOption'
  | 'allowPrivate'
  | 'onClientAbort'
  | 'drainCapMs'
  | 'timeouts'
>

function behaviourOf(config: ProviderConfig, facts: ProviderFacts | null): Behaviour {
  return {
    outputCapMember: config.output_cap_member ?? facts?.outputCapMember ?? null,
    refusesUsageOption: facts?.refusesUsageOption ?? false,
    allowPrivate: config.allow_private ?? facts?.allowPrivate ?? false,
    onClientAbort: config.on_client_abort ?? facts?.onClientAbort ?? 'abort',
    drainCapMs: parseDurationMs(config.drain_cap ?? DEFAULT_DRAIN_CAP),
    timeouts: compileTimeouts(config.timeouts),
  }
}

function findFacts(
  name: string,
  config: ProviderConfig,
  sources: ProviderSources,
): ProviderFacts | null {
  const facts = sources.catalogue.get(config.extends ?? name) ?? null
  if (facts === null && config.extends !== undefined) {
    const near = didYouMean(config.extends, [...sources.catalogue.keys()])
    const problem = `the catalogue has no "${config.extends}"${near}`
    throw new PlanError(`providers.${name}.extends`, problem)
  }
  if (facts !== null && facts.unavailable !== null) {
    throw new PlanError(`providers.${name}`, `not available in this version: ${facts.unavailable}`)
  }
  return facts
}

function protocolsOf(
  config: ProviderConfig,
  facts: ProviderFacts | null,
  at: string,
): readonly string[] {
  if (config.protocol !== undefined) {
    return typeof config.protocol === 'string' ? [config.protocol] : config.protocol
  }
  if (facts !== null) return facts.protocols
  throw new PlanError(`${at}.protocol`, 'is required: the catalogue has no provider of this name')
}

function compileUrl(config: ProviderConfig, facts: ProviderFacts | null, at: string): URL {
  const template = config.base_url ?? specialUrl(config, facts) ?? facts?.baseUrl
  if (template === undefined) {
    throw new PlanError(`${at}.base_url`, 'is required: the catalogue has no provider of this name')
  }
  const text = fillParams(template, config, at)
  if (!URL.canParse(text)) throw new PlanError(`${at}.base_url`, `"${text}" is no URL`)
  return new URL(text)
}

/** A name is looked up when it is dialled; an address tells at once that no call would ever pass. */
function refuseSpecial({ hostname }: URL, allowPrivate: boolean, at: string): void {
  if (allowPrivate || !isSpecialHost(hostname)) return
  const problem = `${hostname} is a private or special-use address; set allow_private: true if that is meant`
  throw new PlanError(`${at}.base_url`, problem)
}

function specialUrl(config: ProviderConfig, facts: ProviderFacts | null): string | undefined {
  const params = Object.entries(config.params ?? {})
  const [name, value] = params.find((pair) => facts?.baseUrls?.[pair.join('=')] !== undefined) ?? []
  return name === undefined ? undefined : facts?.baseUrls?.[`${name}=${value}`]
}

/** Parts were validated as a-z, 0-9 and "-", so that none can change the host or leave the path. */
function fillParams(template: string, config: ProviderConfig, at: string): string {
  return template.replace(/\{([a-z_]+)\}/g, (placeholder, param: string) => {
    if (param === 'model') return placeholder
    const value = config.params?.[param]
    if (value !== undefined) return value
    throw new PlanError(`${at}.params.${param}`, `is required: "${template}" holds it`)
  })
}

function fillPaths(
  paths: Readonly<Record<string, string>>,
  config: ProviderConfig,
  at: string,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(paths).map(([endpoint, path]) => [endpoint, fillParams(path, config, at)]),
  )
}

type FoundCredential = {
  readonly credential: string | null
  readonly credentialMissing: string | null
  readonly reference: string | null
}

function findCredential(
  config: ProviderConfig,
  facts: ProviderFacts | null,
  sources: ProviderSources,
): FoundCredential {
  if (config.credential !== undefined) {
    const { missing, reference } = config.credential
    return {
      credential: config.credential.reveal(),
      credentialMissing: missing ? reference : null,
      reference,
    }
  }
  const variable = facts?.credentialEnv ?? null
  if (variable === null) return { credential: null, credentialMissing: null, reference: null }
  const reference = `env:${variable}`
  const value = sources.env[variable]?.trim() ?? ''
  if (value !== '') return { credential: value, credentialMissing: null, reference }
  const found =
    facts === null
      ? null
      : (joinedCredential(facts, sources.env) ?? fileCredential(facts, sources.env))
  return found === null
    ? { credential: null, credentialMissing: reference, reference }
    : { ...found, credentialMissing: null }
}

/** The credential from the file that a variable names; null when there is none. */
function fileCredential(
  { credentialFileEnv }: ProviderFacts,
  env: ProviderSources['env'],
): { readonly credential: string; readonly reference: string } | null {
  const file = credentialFileEnv === undefined ? '' : (env[credentialFileEnv]?.trim() ?? '')
  if (file === '') return null
  const credential = resolveSecret(`file:${file}`, { env, folder: '.' }).reveal()
  return credential === null ? null : { credential, reference: `env:${credentialFileEnv}` }
}

/** How a protocol's own vendor takes its credential; a provider without facts of its own most likely copies that. */
const PROTOCOL_AUTH: ReadonlyMap<string, AuthStyle> = new Map([
  ['anthropic-messages', { kind: 'header', name: 'x-api-key' }],
  ['gemini', { kind: 'header', name: 'x-goog-api-key' }],
])
/** Every Messages request must name a version; the same one as in the catalogue (providers/anthropic), with its source. */
const PROTOCOL_HEADERS: ReadonlyMap<string, Readonly<Record<string, string>>> = new Map([
  ['anthropic-messages', { 'anthropic-version': '2023-06-01' }],
])

function authOf(
  config: ProviderConfig,
  facts: ProviderFacts | null,
  use: {
    readonly protocols: readonly string[]
    readonly credential: string | null
    readonly at: string
  },
): AuthStyle {
  const written = writtenAuth(config)
  if (written !== null) return written
  const known = facts?.auth
  if (known?.kind === 'unavailable') {
    throw new PlanError(`${use.at}.auth`, `${known.name}: not available in this version`)
  }
  if (known !== undefined && (known.kind !== 'none' || use.credential === null)) return known
  if (config.credential === undefined) return { kind: 'none' }
  return PROTOCOL_AUTH.get(use.protocols[0] ?? '') ?? { kind: 'bearer' }
}

/** What is not signed with is an API key, and what no token is asked for with is one. */
function sentAuth(auth: AuthStyle): AuthStyle {
  return auth.kind === 'sigv4' || auth.kind === 'google-oauth' ? { kind: 'bearer' } : auth
}

/** What the operator says of it; null: nothing. */
function writtenAuth(config: ProviderConfig): AuthStyle | null {
  if (config.auth === undefined) {
    return config.credential?.reference === NO_SECRET ? { kind: 'none' } : null
  }
  const { kind, name = '' } = config.auth
  if (kind === 'header') return { kind, name: name.toLowerCase() }
  return kind === 'query' ? { kind, name } : { kind }
}

function headersOf(
  config: ProviderConfig,
  facts: ProviderFacts | null,
  use: {
    readonly protocols: readonly string[]
    readonly auth: AuthStyle
    readonly credential: string | null
  },
): Readonly<Record<string, string>> {
  const headers = new Map<string, string>()
  const own = facts === null ? protocolHeaders(use.protocols) : facts.headers
  for (const source of [own, config.headers ?? {}]) {
    for (const [name, value] of Object.entries(source)) headers.set(name.toLowerCase(), value)
  }
  if (use.credential !== null && use.auth.kind === 'bearer') {
    headers.set('authorization', `Bearer ${use.credential}`)
  }
  if (use.credential !== null && use.auth.kind === 'header') {
    headers.set(use.auth.name, use.credential)
  }
  return Object.fromEntries(headers)
}

/** What a provider of these protocols needs on every call, whoever it is. */
export function protocolHeaders(protocols: readonly string[]): Readonly<Record<string, string>> {
  return PROTOCOL_HEADERS.get(protocols[0] ?? '') ?? {}
}

/** A credential that travels in the URL is one of the provider's own parameters, so a client cannot replace it. */
function queryAuth(auth: AuthStyle, credential: string | null): Readonly<Record<string, string>> {
  return auth.kind === 'query' && credential !== null ? { [auth.name]: credential } : {}
}

function queryText(query: Readonly<Record<string, string>>): string {
  const text = new URLSearchParams(query).toString()
  return text === '' ? '' : `?${text}`
}

function compileTimeouts(config: TimeoutsConfig | undefined): Timeouts {
  const texts = { ...DEFAULT_TIMEOUTS, ...config }
  return {
    connectMs: parseDurationMs(texts.connect),
    firstByteMs: parseDurationMs(texts.first_byte),
    idleMs: parseDurationMs(texts.idle),
    totalMs: parseDurationMs(texts.total),
  }
}
