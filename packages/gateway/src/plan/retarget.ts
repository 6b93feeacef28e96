import { createHmac, randomBytes } from 'node:crypto'
import type { Prompt } from '../contracts/protocol.ts'
import { protocolHeaders } from './compile-provider.ts'
import type {
  OperatorTerms,
  PolicyPlan,
  PromptsPlan,
  ProviderPlan,
  TargetPlan,
  Timeouts,
} from './gateway-plan.ts'
import { compileGrant } from './compile-grant.ts'
import type { MergedUpstream } from './merge-upstream.ts'
import { PlanError } from './plan-error.ts'
import { compileSigning } from './request-signing.ts'
import type { ChosenCredential, Routing } from './route-upstream.ts'
import { strictest } from './sourced.ts'

/** Of this process only. */
const MARK_KEY = randomBytes(32)
const MARK_CHARS = 8

/** Roles and separators around one prompt, in any protocol: an upper bound. */
const PROMPT_TOKENS = 16

/**
 * How targets change under a policy; null: not at all. Each is changed once and kept as long as the target is.
 *
 * Throws `PlanError` when a provider cannot take the credential.
 */
export function compileRetarget(
  upstream: MergedUpstream,
  routing: Routing,
  operator: OperatorTerms,
): PolicyPlan['retarget'] {
  const prompts = compilePrompts(upstream)
  const caps = capsOf(upstream)
  const rerouted = reroutedProviders(routing, operator)
  if (prompts === null && caps === null && rerouted.size === 0) return null
  const providers = new WeakMap<ProviderPlan, ProviderPlan>()
  const targets = new WeakMap<TargetPlan, TargetPlan>()
  const providerOf = (provider: ProviderPlan): ProviderPlan => {
    const known = providers.get(provider)
    if (known !== undefined) return known
    const changed = withCaps(rerouted.get(provider.name) ?? provider, caps)
    providers.set(provider, changed)
    return changed
  }
  return (target) => {
    const known = targets.get(target)
    if (known !== undefined) return known
    const provider = providerOf(target.provider)
    const healthId = rerouted.has(provider.name)
      ? `${target.healthId} ${mark(provider)}`
      : target.healthId
    const changed = { ...target, provider, healthId, prompts }
    targets.set(target, changed)
    return changed
  }
}

/** Tells what one policy's credential or address did from the others'. Not the credential, which nobody may guess by it. */
function mark({ origin, basePath, credential }: ProviderPlan): string {
  const text = JSON.stringify([origin, basePath, credential])
  return createHmac('sha256', MARK_KEY).update(text).digest('hex').slice(0, MARK_CHARS)
}

function compilePrompts({ prompts }: MergedUpstream): PromptsPlan | null {
  if (prompts.length === 0) return null
  const list = prompts.map(
    ({ value: { role, content, position } }): Prompt => ({
      role,
      content,
      position: position ?? 'start',
    }),
  )
  const texts = list.map(({ content }) => content)
  const overheadTokens = list.length * PROMPT_TOKENS
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
  return { list, texts, overheadTokens, boundTokens: bytes + overheadTokens }
}

function capsOf({ timeouts }: MergedUpstream): Timeouts | null {
  const caps = {
    connectMs: strictest(timeouts.connect) ?? Infinity,
    firstByteMs: strictest(timeouts.first_byte) ?? Infinity,
    idleMs: strictest(timeouts.idle) ?? Infinity,
    totalMs: strictest(timeouts.total) ?? Infinity,
  }
  return Object.values(caps).every((ms) => ms === Infinity) ? null : caps
}

/** The provider's own timeouts are the most. */
function withCaps(provider: ProviderPlan, caps: Timeouts | null): ProviderPlan {
  if (caps === null) return provider
  const { timeouts } = provider
  return {
    ...provider,
    timeouts: {
      connectMs: Math.min(timeouts.connectMs, caps.connectMs),
      firstByteMs: Math.min(timeouts.firstByteMs, caps.firstByteMs),
      idleMs: Math.min(timeouts.idleMs, caps.idleMs),
      totalMs: Math.min(timeouts.totalMs, caps.totalMs),
    },
  }
}

function reroutedProviders(
  { credentials, urls }: Routing,
  operator: OperatorTerms,
): ReadonlyMap<string, ProviderPlan> {
  const rerouted = new Map<string, ProviderPlan>()
  for (const name of new Set([...credentials.keys(), ...urls.keys()])) {
    const provider = operator.providers.get(name)
    if (provider === undefined) continue
    const url = urls.get(name) ?? null
    const moved = url === null ? provider : movedTo(provider, url, operator)
    const chosen = credentials.get(name)
    rerouted.set(name, chosen === undefined ? moved : withCredential(moved, chosen))
  }
  return rerouted
}

/** Nothing that the operator set for the provider's own address goes elsewhere: no credential, no header, no query. */
function movedTo(provider: ProviderPlan, url: URL, operator: OperatorTerms): ProviderPlan {
  return {
    ...provider,
    origin: url.origin,
    basePath: url.pathname.replace(/\/+$/, ''),
    query: '',
    credential: null,
    credentialMissing: null,
    credentialReference: null,
    sign: null,
    tokenGrant: null,
    headers: protocolHeaders(provider.protocols),
    allowPrivate: operator.customUpstreams.allowPrivate,
  }
}

function withCredential(
  provider: ProviderPlan,
  { reference, value }: ChosenCredential,
): ProviderPlan {
  const { auth } = provider
  const changed = {
    ...provider,
    credential: value,
    credentialMissing: value === null ? reference : null,
    credentialReference: reference,
  }
  const secret = value ?? ''
  switch (auth.kind) {
    case 'bearer':
      return {
        ...changed,
        headers: { ...provider.headers, authorization: `Bearer ${secret}` },
      }
    case 'header':
      return { ...changed, headers: { ...provider.headers, [auth.name]: secret } }
    case 'query': {
      const query = new URLSearchParams(provider.query)
      query.set(auth.name, secret)
      return { ...changed, query: `?${query.toString()}` }
    }
    case 'sigv4': {
      const sign = compileSigning(auth, value, { region: provider.region, at: 'credential' })
      const { authorization: _own, ...headers } = provider.headers
      const bearer = sign === null ? { authorization: `Bearer ${secret}` } : {}
      return { ...changed, sign, headers: { ...headers, ...bearer } }
    }
    case 'google-oauth': {
      const tokenGrant = compileGrant(auth, value, 'credential')
      const { authorization: _own, ...headers } = provider.headers
      const bearer = tokenGrant === null ? { authorization: `Bearer ${secret}` } : {}
      return { ...changed, tokenGrant, headers: { ...headers, ...bearer } }
    }
    case 'none':
    case 'unavailable':
      throw new PlanError('credential', `the provider ${provider.name} takes none`)
  }
}
