import type { PolicyConfig } from '../config/policy-config.ts'
import { isSpecialHost } from '../lib/special-addresses.ts'
import type { OperatorTerms } from './gateway-plan.ts'
import { credentialOf } from './merge-upstream.ts'
import { PlanError } from './plan-error.ts'

/** A credential that a policy chose, by its reference. `value` null: it is missing. */
export type ChosenCredential = { readonly reference: string; readonly value: string | null }

/** What a policy changes of providers, by their names. */
export type Routing = {
  readonly credentials: ReadonlyMap<string, ChosenCredential>
  readonly urls: ReadonlyMap<string, URL>
}

export const NO_ROUTING: Routing = { credentials: new Map(), urls: new Map() }

/** A value and its path in the policy, for problems. */
export type Placed = { readonly value: string; readonly at: string }

export type RoutingUse = {
  readonly credential: Placed | null
  readonly url: Placed | null
  /** The provider that is meant; null: nobody says. */
  readonly provider: string | null
  readonly operator: OperatorTerms
}

/** Throws `PlanError` for what the operator does not allow, or when nobody says which provider is meant. */
export function addRouting(before: Routing, use: RoutingUse): Routing {
  const { credential, url, provider, operator } = use
  if (credential === null && url === null) return before
  const credentials = new Map(before.credentials)
  const urls = new Map(before.urls)
  const found = credential === null ? null : findCredential(credential, use)
  if (found !== null) for (const name of found.providers) credentials.set(name, found.chosen)
  if (url !== null) {
    const target = checkedUrl(url, operator)
    const names = found?.providers ?? (provider === null ? null : new Set([provider]))
    if (names === null) throw unknownProvider(url.at)
    for (const name of names) urls.set(name, target)
  }
  return { credentials, urls }
}

/** What can be said of a policy alone, before it is a key's. Throws `PlanError`. */
export function checkUpstream(policy: PolicyConfig, operator: OperatorTerms, at: string): void {
  const entries = (policy.providers ?? []).map((entry, index) => ({
    fields: entry,
    path: `${at}providers[${index}].`,
  }))
  for (const { fields, path } of [{ fields: policy, path: at }, ...entries]) {
    const reference = credentialOf(fields)
    if (reference !== undefined && !isKnown(reference, operator)) {
      throw notAllowed({ value: reference, at: `${path}credential` })
    }
    if (fields.upstream_url !== undefined) {
      checkedUrl({ value: fields.upstream_url, at: `${path}upstream_url` }, operator)
    }
  }
}

function isKnown(reference: string, operator: OperatorTerms): boolean {
  return operator.credentials.has(reference) || ownersOf(reference, operator).length > 0
}

/** Providers whose own credential this is: to name it there changes nothing. */
function ownersOf(reference: string, operator: OperatorTerms): readonly string[] {
  return [...operator.providers.values()]
    .filter(({ credentialReference }) => credentialReference === reference)
    .map(({ name }) => name)
}

function findCredential(
  { value: reference, at }: Placed,
  { url, provider, operator }: RoutingUse,
): { readonly chosen: ChosenCredential; readonly providers: ReadonlySet<string> } {
  const allowed = operator.credentials.get(reference)
  if (allowed === undefined) {
    const owners = ownersOf(reference, operator).filter((name) => (provider ?? name) === name)
    // To another address it goes only if the operator lists it.
    if (owners.length === 0 || url !== null) throw notAllowed({ value: reference, at })
    return { chosen: { reference, value: ownValue(owners, operator) }, providers: new Set(owners) }
  }
  const chosen = { reference, value: allowed.value }
  if (provider === null) {
    if (allowed.providers === null) throw unknownProvider(at)
    return { chosen, providers: allowed.providers }
  }
  if (allowed.providers !== null && !allowed.providers.has(provider)) {
    throw new PlanError(at, `the operator does not allow ${reference} for the provider ${provider}`)
  }
  return { chosen, providers: new Set([provider]) }
}

function ownValue(owners: readonly string[], operator: OperatorTerms): string | null {
  return operator.providers.get(owners[0] ?? '')?.credential ?? null
}

function notAllowed({ value, at }: Placed): PlanError {
  return new PlanError(at, `${value} is not allowed; the operator lists it in credentials.allowed`)
}

function unknownProvider(at: string): PlanError {
  const places = 'in an entry of providers that names one, beside default_provider'
  const problem = `for which provider is not said: write it ${places}, or list providers in credentials.allowed`
  return new PlanError(at, problem)
}

function portOf({ port, protocol }: URL): number {
  if (port !== '') return Number(port)
  return protocol === 'https:' ? 443 : 80
}

/** Names are checked when they are dialled; here only what shows without looking anything up. */
function checkedUrl({ value, at }: Placed, { customUpstreams }: OperatorTerms): URL {
  if (!customUpstreams.enabled) {
    throw new PlanError(at, 'the operator does not allow it; custom_upstreams.enabled is false')
  }
  const url = new URL(value)
  if (isSpecialHost(url.hostname) && !customUpstreams.allowPrivate) {
    const problem = `${url.hostname} is a private or special-use address; custom_upstreams.allow_private is false`
    throw new PlanError(at, problem)
  }
  const port = portOf(url)
  if (!customUpstreams.ports.has(port)) {
    throw new PlanError(at, `the port ${port} is not among custom_upstreams.ports`)
  }
  return url
}
