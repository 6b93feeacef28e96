import type { AuthStyle, FailureClass } from '../contracts/provider.ts'
import type { Prompt } from '../contracts/protocol.ts'
import type { KeyRecord, Subject } from '../contracts/key.ts'
import type { LimitCharge, LimitPlan } from '../contracts/limit.ts'
import type { Price } from '../contracts/price.ts'
import type { Capability, ModeWeights, RouteDecision, Strategy } from '../contracts/routing.ts'
import type { PolicyConfig } from '../config/policy-config.ts'
import type { TokenGrant } from '../lib/token-grant.ts'
import type { SignRequest } from './request-signing.ts'

/** What runs: the configuration, compiled. Immutable; swapped as one reference. A request reads it once and keeps it. */
export type GatewayPlan = {
  readonly revision: number
  /** False only when the operator set `keys: { required: false }`. */
  readonly keysRequired: boolean
  /** The caller when no key is required and none is given. */
  readonly anonymous: KeyPlan | null
  readonly providers: ReadonlyMap<string, ProviderPlan>
  /** Public names → targets. `provider/model` works without an entry; see plan/resolve-model.ts. */
  readonly models: ReadonlyMap<string, ModelPlan>
  readonly routing: RoutingPlan
  readonly server: ServerPlan
  readonly ledgerEnabled: boolean
  readonly health: HealthPlan
  /** Null: idempotency keys mean nothing. */
  readonly idempotency: IdempotencyPlan | null
  /** Targets of names that no model entry declares. */
  readonly onDemand: OnDemandTargets
  /** What a key inherits; read when a key is compiled, never per request. */
  readonly policies: PolicyLayers
}

/** What is kept of answers under idempotency keys. */
export type IdempotencyPlan = {
  readonly ttlMs: number
  /** Of one answer. */
  readonly maxAnswerBytes: number
  /** Of all of them. */
  readonly maxBytes: number
  readonly maxEntries: number
}

/** Makes targets for `provider/model` names. Bounded, because the names come from clients. */
export type OnDemandTargets = {
  /** The target for a model at a provider; the same object for the same name while it is kept. */
  target(provider: ProviderPlan, model: string): TargetPlan
  /** Names of the configured providers whose catalogue knows exactly this id. */
  providersKnowing(model: string): readonly string[]
  /** Ids that the catalogue knows of a provider. */
  modelsOf(provider: ProviderPlan): readonly string[]
}

/** The policies that keys are merged from, as written (validated). */
export type PolicyLayers = {
  readonly global: PolicyConfig
  readonly teams: ReadonlyMap<string, PolicyConfig>
  /** Named policies of the file and of the store. */
  readonly named: ReadonlyMap<string, PolicyConfig>
  readonly operator: OperatorTerms
}

/** What the operator lets policies say of providers, credentials and addresses. */
export type OperatorTerms = {
  readonly providers: ReadonlyMap<string, ProviderPlan>
  /** By reference. */
  readonly credentials: ReadonlyMap<string, AllowedCredential>
  /** What policies may name as `routing.mode`, besides `thompson`. */
  readonly modes: RoutingPlan['modes']
  readonly customUpstreams: {
    readonly enabled: boolean
    readonly allowPrivate: boolean
    readonly ports: ReadonlySet<number>
  }
}

export type AllowedCredential = {
  /** Null: nothing stands under the reference. */
  readonly value: string | null
  /** Providers that may see it; null: whichever the policy names. */
  readonly providers: ReadonlySet<string> | null
}

/** How targets are judged, and what attempts may cost. */
export type HealthPlan = {
  readonly breaker: BreakerPlan
  /** Null: providers are not asked whether they are back. */
  readonly probes: { readonly intervalMs: number; readonly timeoutMs: number } | null
  readonly retries: RetryBudgetPlan
  /** How long a target without money is left alone where its vendor does not say. */
  readonly quotaMs: number
  /** Whether what vendors say of their own rate limits is obeyed. */
  readonly obeyRates: boolean
}

export type BreakerPlan = {
  /** In a row, after which the circuit opens. */
  readonly failures: number
  /** 0 to 1; opens the circuit once the window weighs `minRequests`. */
  readonly failureShare: number
  readonly minRequests: number
  /** Time after which an outcome weighs about a third. */
  readonly windowMs: number
  /** From the opening to the first trial; doubled by each trial that fails, up to `maxOpenMs`. */
  readonly openMs: number
  readonly maxOpenMs: number
  /** What becomes of a call when the circuits of all its targets are open. */
  readonly whenAllOpen: 'try' | 'refuse'
}

/** Further attempts at a provider, beyond the first of each call. */
export type RetryBudgetPlan = {
  /** How often a target is asked again where the caller's policy does not say. */
  readonly maxRetries: number
  /** Earned by each first attempt. */
  readonly share: number
  /** Ready without having been earned. */
  readonly burst: number
}

export type ServerPlan = {
  readonly maxBodyBytes: number
  /** Body cap of the endpoints that carry whole documents (Messages). */
  readonly maxDocumentBodyBytes: number
  readonly maxJsonDepth: number
  readonly keepAliveMs: number
  readonly headersTimeoutMs: number
  readonly bodyIdleTimeoutMs: number
  /** CIDRs whose `x-forwarded-for` is believed. */
  readonly trustedProxies: readonly string[]
}

export type ProviderPlan = {
  readonly name: string
  /** Scheme, host and port. */
  readonly origin: string
  /** Path of the base URL, without a trailing slash: `''` or `/openai/v1`. */
  readonly basePath: string
  /** `?name=value…` or `''`; holds the credential where the provider wants it there. */
  readonly query: string
  readonly protocols: readonly string[]
  readonly auth: AuthStyle
  /** Already resolved; null when the provider needs none. `credentialMissing` tells absent from unneeded. */
  readonly credential: string | null
  /** The reference that could not be resolved, for the error; null when all is well. */
  readonly credentialMissing: string | null
  /** Where the credential comes from: `env:NAME`, `file:path`; null: it needs none. */
  readonly credentialReference: string | null
  /** Where requests are signed for; null: unknown, and not needed. */
  readonly region: string | null
  /** Signs each request as it is sent; null: the credential is in the headers or the query. */
  readonly sign: SignRequest | null
  /** How access tokens are asked for; null: the credential is sent as it is. */
  readonly tokenGrant: TokenGrant | null
  /** Lower-case names; static headers and auth together, ready to send. */
  readonly headers: Readonly<Record<string, string>>
  readonly paths: Readonly<Record<string, string>>
  readonly failures: Readonly<Record<number, FailureClass>>
  readonly allowPrivate: boolean
  readonly onClientAbort: 'abort' | 'drain'
  /** Null: the protocol's own. */
  readonly outputCapMember: string | null
  /** The vendor answers an error to `stream_options`, so usage cannot be asked for. */
  readonly refusesUsageOption: boolean
  /** With `drain`: how long, at most. */
  readonly drainCapMs: number
  readonly timeouts: Timeouts
}

export type Timeouts = {
  readonly connectMs: number
  readonly firstByteMs: number
  readonly idleMs: number
  readonly totalMs: number
}

/** One model at one provider with one credential. */
export type TargetPlan = {
  /** Its own in the configuration, else `provider/model`. */
  readonly id: string
  /** Under which its health is known: the id, and more where a policy brings a credential or an address of its own. */
  readonly healthId: string
  /** `provider/model`, whatever its id. */
  readonly address: string
  /** False: switched off by the operator. */
  readonly enabled: boolean
  /** What it is known to be unable to do; null: nothing is known. */
  readonly lacks: readonly Capability[] | null
  readonly provider: ProviderPlan
  readonly model: string
  readonly weight: number
  /** Null: unpriced. */
  readonly price: Price | null
  readonly contextTokens: number | null
  readonly maxOutputTokens: number
  /** Nobody states the maximum: the assumed one holds only if it is sent as a cap. */
  readonly maxOutputAssumed: boolean
  /** The exact tokenizer of this model; null: none is known, and bytes are the bound. */
  readonly tokenizer: 'o200k_base' | 'cl100k_base' | null
  /** What the caller's policy adds to every request; null: nothing. */
  readonly prompts: PromptsPlan | null
  /** The public model that stands in for the one that was asked for; null: no other. */
  readonly fallback: string | null
  /** Of a choice among several models: the public model it serves; null: the one that the request came to. */
  readonly servesAs: string | null
}

export type PromptsPlan = {
  readonly list: readonly Prompt[]
  readonly texts: readonly string[]
  /** Scaffolding around them: an upper bound. Tokens. */
  readonly overheadTokens: number
  /** Bytes and scaffolding: an upper bound of what they count. Tokens. */
  readonly boundTokens: number
}

/** What a policy says of other attempts. */
export type RetryPlan = {
  /** How often a target is asked again before the next one's turn. */
  readonly maxRetries: number
  /** Public models after all targets of the one that was asked for. */
  readonly fallbacks: readonly string[]
  /** Upstream statuses after which the request goes on; null: decided by their class. */
  readonly retryOn: ReadonlySet<number> | null
}

/** Targets of which one is chosen per request. */
export type ModelPlan = {
  readonly name: string
  readonly targets: readonly TargetPlan[]
  readonly strategy: Strategy
  readonly reason: 'explicit' | 'model' | 'wildcard'
  /**
   * Null: the request has to choose. Else there is one target, and nothing that is known of it depends on the request:
   * the decision is this one unless it is set aside.
   */
  readonly settled: RouteDecision | null
}

/** What the configuration says of routing, besides each model's own. */
export type RoutingPlan = {
  readonly modes: ReadonlyMap<string, ModeWeights>
  /** Of the strategy `score`, where nobody says otherwise. */
  readonly defaultMode: string
  /** How the bandit of the strategy `thompson` forgets: in time, and in requests. */
  readonly forgetting: { readonly halfLifeMs: number; readonly window: number }
  /** What `*` and `auto` stand for: every target of its models. Null: no model is there. */
  readonly wildcard: ModelPlan | null
  /** Null: there are none. */
  readonly aliases: ReadonlyMap<string, AliasPlan> | null
}

/** A name for weighted variants. */
export type AliasPlan = {
  readonly name: string
  readonly sticky: 'request' | 'key' | 'session' | 'round_robin'
  readonly enabled: boolean
  readonly variants: readonly AliasVariant[]
}

/** `model`: a public name, or `provider/model`. `weight`: above 0. */
export type AliasVariant = { readonly model: string; readonly weight: number }

/** A compiled matcher over names: exact, glob or anchored RE2. */
export type NameMatcher = (name: string) => boolean

/** The merged policy of one key under one plan. */
export type PolicyPlan = {
  /** `null`: every model. Asked with the requested name; says no to denied names too. See plan/model-permission.ts. */
  readonly modelAllowed: NameMatcher | null
  /** `null`: none. Also holds for the model and id of every target, so that another name for it does not get around it. */
  readonly modelDenied: NameMatcher | null
  /** `null`: every endpoint. */
  readonly endpoints: ReadonlySet<string> | null
  readonly limits: readonly LimitPlan[]
  readonly maxOutputTokens: number | null
  readonly maxInputTokens: number | null
  readonly maxCostPerRequestNanoUsd: number | null
  /** What to do with a target that has no price. `null`: decided by whether a `usd` limit applies. */
  readonly unpriced: 'deny' | 'allow' | null
  /** Refuse what a translation cannot carry, instead of leaving it out. */
  readonly strictTranslation: boolean
  readonly defaultProvider: string | null
  /** Ordered; first match wins. */
  readonly providerEntries: readonly ProviderEntryPlan[]
  readonly trustScopeHeaders: boolean
  /** CIDRs; null: any. */
  readonly ipAllow: readonly string[] | null
  readonly metadata: Readonly<Record<string, string>>
  /** A target as this policy wants it: credential, address, timeouts, prompts. Null: as it is. */
  readonly retarget: ((target: TargetPlan) => TargetPlan) | null
  readonly retry: RetryPlan | null
  /** How it wants targets chosen; null: as the model says. */
  readonly routing: PolicyRoutingPlan | null
  /** Null: no other model stands in after a content filter or a context that is too small. */
  readonly rescue: RescuePlan | null
  readonly hedge: HedgePlan | null
  /** Headers and texts of users may ask something of the choice. */
  readonly directives: boolean
}

/** `afterMs` null: the 95th percentile of the target's times to the first byte. */
export type HedgePlan = { readonly afterMs: number | null }

export type RescuePlan = {
  /** Public models after a vendor's content filter. */
  readonly contentFallbacks: readonly string[]
  /** Public models where the context is too small; `any`: all that are configured. Null: none. */
  readonly escalate: 'any' | readonly string[] | null
}

/** Null: not said. */
export type PolicyRoutingPlan = {
  readonly mode: string | null
  readonly strategy: Strategy | null
  readonly maxCostNanoUsd: number | null
  readonly maxLatencyMs: number | null
  readonly minWeight: number | null
}

export type ProviderEntryPlan = {
  readonly matches: NameMatcher | null
  /** Null keeps the provider that the model resolves to. */
  readonly provider: string | null
  /** The policy with this entry merged in; what applies when it matches. */
  readonly policy: PolicyPlan
  /** The entry adds nothing that limits or allows, so that it may serve a fallback under other terms. */
  readonly sharesLimits: boolean
  /** Replace those of the key when the entry matches. */
  readonly charges: readonly LimitCharge[]
  readonly lateLimits: readonly LimitPlan[]
  readonly hasTokenLimit: boolean
  readonly hasUsdLimit: boolean
}

/** A key, ready for requests. Compiled once per key and plan revision. */
export type KeyPlan = {
  readonly record: KeyRecord
  /** Refused from then on (ms since 1970), because it is overdue for rotation; null: never. */
  readonly refusedFromMs: number | null
  readonly subject: Subject
  readonly scopes: ReadonlySet<string> | null
  readonly policy: PolicyPlan
  /** Limits whose counter is known without the request's target or address, ready to charge. */
  readonly charges: readonly LimitCharge[]
  /**
   * Limits whose counter depends on the request: of scope `provider`, `target` or `ip`, or that match on providers. With
   * `trustScopeHeaders` also those of scope `team`, `rolegroup`, `role` and `user`.
   */
  readonly lateLimits: readonly LimitPlan[]
  readonly hasTokenLimit: boolean
  readonly hasUsdLimit: boolean
}
