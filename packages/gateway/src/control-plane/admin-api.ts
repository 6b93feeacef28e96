import type { PolicyExplanation } from '../plan/explain-policy.ts'
import type { RouteDecisionView } from './routing-api.ts'

/**
 * The bodies of the admin API. The CLI and the dashboard import types from here only.
 *
 * Times are RFC 3339 texts, durations texts such as `7d`, money US dollars unless a name says `nanousd`.
 */

export type Page<T> = {
  readonly items: readonly T[]
  readonly total: number
  /** Give it as `cursor` for the next page; null at the end. */
  readonly next: string | null
}

export type PageQuery = { readonly limit?: number; readonly cursor?: string }

export type ErrorBody = {
  readonly error: {
    readonly code: string
    readonly message: string
    /** The field of the body or query that is wrong, such as `policy.limits[0].window`. */
    readonly path?: string
    /** With `invalid_config`, `invalid_policy` and `invalid_request`: everything that is wrong. */
    readonly problems?: readonly ProblemView[]
    /** With `ambiguous_id`: the keys that the prefix fits. */
    readonly matches?: readonly KeyReference[]
    /** With `policy_in_use`: the keys that name the policy. */
    readonly keys?: readonly KeyReference[]
  }
}

type ProblemView = {
  readonly path: string
  readonly line: number | null
  readonly message: string
}

export type JsonObject = Readonly<Record<string, unknown>>

export type KeyReference = { readonly id: string; readonly name: string }

type SubjectView = {
  readonly team: string | null
  readonly rolegroup: string | null
  readonly role: string | null
  readonly user: string | null
}

export type KeyState = 'active' | 'disabled' | 'expired' | 'overdue' | 'revoked'

export type KeyView = {
  readonly id: string
  readonly name: string
  readonly last4: string
  readonly state: KeyState
  /** `file`: declared under `virtual_keys`; only the file can change it. */
  readonly owner: 'api' | 'file'
  readonly expires_at: string | null
  readonly enabled: boolean
  readonly revoked_at: string | null
  readonly scopes: readonly string[]
  readonly subject: SubjectView
  readonly policy: JsonObject
  readonly policies: readonly string[]
  readonly metadata: Readonly<Record<string, string>>
  /** Null for keys of the file. */
  readonly created_at: string | null
  readonly created_by: string
  readonly updated_at: string | null
  readonly last_used_at: string | null
  readonly rotated_at: string | null
  readonly rotate_every: string | null
  /** When the key should have a new secret; in the past: it is overdue. */
  readonly rotation_due_at: string | null
  /** Until when the secret before the last rotation is accepted too; null when it is not. */
  readonly previous_valid_until: string | null
}

/** Answered by create and rotate only: `key` is never shown again. */
export type KeyWithSecret = KeyView & { readonly key: string }

export type SubjectBody = {
  readonly team?: string | null
  readonly rolegroup?: string | null
  readonly role?: string | null
  readonly user?: string | null
}

export type CreateKeyBody = {
  readonly name: string
  readonly policy?: JsonObject
  readonly policies?: readonly string[]
  readonly subject?: SubjectBody
  readonly scopes?: readonly string[]
  /** `24h`, `7d`, `1w`, `1mo`, `1y`, an RFC 3339 time, or `never` (also `none`, `clear`, null). */
  readonly expires?: string | null
  readonly rotate_every?: string | null
  readonly metadata?: Readonly<Record<string, string>>
  readonly enabled?: boolean
}

/** A merge patch (RFC 7396): null removes. Lists are replaced. */
export type UpdateKeyBody = {
  readonly name?: string
  readonly policy?: JsonObject | null
  /** True: `policy` replaces the whole inline policy. */
  readonly replace?: boolean
  readonly policies?: readonly string[] | null
  readonly subject?: SubjectBody | null
  readonly scopes?: readonly string[] | null
  readonly expires?: string | null
  readonly rotate_every?: string | null
  readonly metadata?: Readonly<Record<string, string | null>> | null
  readonly enabled?: boolean
}

export type RotateKeyBody = {
  /** How long the old secret stays valid. Absent, null, `0` or `none`: not at all. */
  readonly grace?: string | null
}

export type KeyQuery = PageQuery & {
  readonly name?: string
  readonly state?: KeyState
  readonly team?: string
  readonly rolegroup?: string
  readonly role?: string
  readonly user?: string
  /** A stored policy that the key names. */
  readonly policy?: string
}

export type ExplainQuery = { readonly model?: string }
export type KeyExplanation = { readonly key: KeyReference } & PolicyExplanation

export type PolicyView = {
  readonly name: string
  readonly owner: 'api' | 'file'
  readonly policy: JsonObject
  readonly created_at: string | null
  readonly updated_at: string | null
}

export type DeletedView = { readonly name: string; readonly deleted: true }

export type ProviderView = {
  readonly name: string
  readonly protocols: readonly string[]
  readonly base_url: string
  readonly auth: string
  /** The reference, such as `env:OPENAI_API_KEY`; null when the provider needs none. Never the credential. */
  readonly credential: string | null
  readonly credential_missing: boolean
  readonly allow_private: boolean
  readonly on_client_abort: 'abort' | 'drain'
  /** The worst of its targets that were called; `unknown`: none was, or no server runs. */
  readonly state: 'healthy' | 'degraded' | 'down' | 'unknown'
  readonly timeouts: {
    readonly connect: string
    readonly first_byte: string
    readonly idle: string
    readonly total: string
  }
}

export type ProviderTestView = {
  readonly provider: string
  readonly ok: boolean
  readonly status: number | null
  readonly latency_ms: number
  readonly problem: string | null
}

/** What a provider lists, and what the gateway knows of it. */
export type ProviderModelsView = ProviderTestView & {
  readonly items: readonly DiscoveredModelView[]
}

/** `name`: what clients may ask for. `known`: the catalogue has it. `declared`: a model of the configuration has this target. */
export type DiscoveredModelView = {
  readonly model: string
  readonly name: string
  readonly known: boolean
  readonly declared: boolean
  readonly price: PriceView | null
  readonly context: number | null
  readonly max_output: number | null
}

/** US dollars per million tokens. `reasoning` null: billed as output. */
export type RatesView = {
  readonly input: number
  readonly output: number
  readonly cache_read: number
  readonly cache_write_5m: number
  readonly cache_write_1h: number
  readonly reasoning: number | null
}

export type PriceView = RatesView & {
  readonly tiers: readonly (RatesView & { readonly above_input_tokens: number })[]
}

export type ModelTargetView = {
  readonly id: string
  readonly provider: string
  readonly model: string
  readonly weight: number
  readonly enabled: boolean
  /** What it is known to be unable to do. */
  readonly lacks: readonly string[]
  readonly priced: boolean
  readonly price: PriceView | null
  readonly context: number | null
  readonly max_output: number
}

export type ModelView = {
  readonly name: string
  /** False: served as `provider/model` without an entry in the configuration. */
  readonly declared: boolean
  readonly strategy: string
  /** Every target has a price. */
  readonly priced: boolean
  /** Of the first target. */
  readonly price: PriceView | null
  /** The smallest of the targets; tokens. Null: unknown. */
  readonly context: number | null
  readonly targets: readonly ModelTargetView[]
}

export type ModelQuery = PageQuery & { readonly provider?: string; readonly declared?: boolean }

export type LimitView = {
  readonly id: string
  readonly scope: string
  readonly value: string
  readonly unit: string
  /** In the unit; US dollars for `usd`. The same holds for `reserved` and `amount`. */
  readonly used: number
  readonly reserved: number
  readonly amount: number
  readonly resets_at: string | null
}

export type LimitQuery = PageQuery & {
  readonly id?: string
  readonly scope?: string
  readonly value?: string
}
export type ResetLimitBody = {
  /** Whose counter; absent or null: every counter of the limit. */
  readonly value?: string | null
}
export type GrantLimitBody = {
  readonly value: string
  /** Added to the current window, in the limit's unit; US dollars for `usd`. */
  readonly amount: number
}
export type LimitChange = {
  readonly id: string
  readonly changed: number
  readonly items: readonly LimitView[]
}

export type LimitExplainQuery = {
  readonly model?: string
  readonly endpoint?: string
  readonly ip?: string
  readonly input_tokens?: number
  readonly output_tokens?: number
}

/** Amounts are in the limit's unit, US dollars for `usd`; null where the limit does not apply or nobody knows yet. */
export type ExplainedLimit = {
  readonly id: string
  readonly scope: string
  /** Whose counter; null: not known without more of the request, or nobody's. */
  readonly value: string | null
  readonly unit: string
  readonly algorithm: string
  readonly window: string | null
  readonly mode: string
  /** The layers of the policy that it stands in. */
  readonly from: readonly string[]
  readonly used: number | null
  readonly reserved: number | null
  readonly amount: number | null
  readonly resets_at: string | null
  /** What the request would reserve at most. */
  readonly needs: number | null
  readonly outcome: 'passes' | 'shrinks' | 'refused' | 'never' | 'not_applied' | 'depends'
  readonly reason: string
}

export type LimitExplanation = {
  readonly key: KeyReference
  readonly model: string | null
  /** The first target that would be tried; null without a model, or when nobody serves it. */
  readonly target: string | null
  /** What was asked about. `cost_usd` null: unpriced, or no model is named. */
  readonly request: {
    readonly input_tokens: number
    readonly output_tokens: number
    readonly cost_usd: number | null
  }
  readonly passes: boolean
  readonly refused_by: readonly string[]
  readonly limits: readonly ExplainedLimit[]
}

export type UsageTokens = {
  readonly input: number | null
  readonly output: number | null
  readonly cache_read: number | null
  readonly cache_write_5m: number | null
  readonly cache_write_1h: number | null
  readonly reasoning: number | null
  readonly audio_input: number | null
  readonly audio_output: number | null
  readonly server_tool_calls: number | null
}

type AttemptView = {
  readonly target: string
  readonly status: number | null
  readonly error_class: string | null
  readonly duration_ms: number
}

export type UsageRecordView = {
  readonly id: string
  readonly request_id: string
  readonly upstream_request_id: string | null
  readonly started_at: string
  readonly key_id: string | null
  readonly key_name: string | null
  readonly team: string | null
  readonly rolegroup: string | null
  readonly role: string | null
  readonly user: string | null
  readonly endpoint: string
  readonly protocol: string
  readonly requested_model: string | null
  readonly model: string | null
  readonly served_model: string | null
  readonly provider: string | null
  readonly target: string | null
  readonly attempts: readonly AttemptView[]
  readonly status: number
  readonly error_source: string | null
  readonly error_class: string | null
  readonly stream: boolean
  readonly complete: boolean
  readonly usage: UsageTokens
  readonly estimated: boolean
  /** Null: unpriced. 0: free. */
  readonly cost_nanousd: number | null
  readonly saved_nanousd: number
  readonly latency_ms: number
  readonly ttft_ms: number | null
  readonly overhead_ms: number
  readonly cache: string | null
  readonly limits: readonly string[]
  /** What the request asked for. Null: its body was not read, or the record is older. */
  readonly asked: {
    readonly input_tokens: number | null
    readonly max_output_tokens: number | null
  } | null
  readonly project: string | null
  readonly user_agent: string | null
  readonly session_id: string | null
  readonly client_ip: string | null
  readonly metadata: Readonly<Record<string, string>>
  /** The provider was spoken to in another protocol, which could not carry `losses`. */
  readonly translation: { readonly protocol: string; readonly losses: readonly string[] } | null
  /** Why it went where it went. Null: it came to no choice, or the record is older. */
  readonly routing: RouteDecisionView | null
}

/** Full ids and names. `since` is included, `until` is not. */
export type UsageFilter = {
  readonly key?: string
  readonly model?: string
  readonly provider?: string
  readonly project?: string
  /** `404` or a class such as `4xx`. */
  readonly status?: string
  readonly since?: string
  readonly until?: string
  readonly request_id?: string
}
export type UsageQuery = UsageFilter & PageQuery

export type UsageSumView = {
  readonly input: number
  readonly output: number
  readonly cache_read: number
  readonly cache_write_5m: number
  readonly cache_write_1h: number
  readonly reasoning: number
}

export type UsageRowView = {
  readonly name: string
  readonly requests: number
  readonly errors: number
  readonly usage: UsageSumView
  readonly cost_nanousd: number
}

export type UsageSummary = {
  readonly since: string | null
  readonly until: string | null
  readonly requests: number
  readonly errors: number
  readonly usage: UsageSumView
  readonly cost_nanousd: number
  readonly saved_nanousd: number
  readonly by_model: readonly UsageRowView[]
  /** `name` is the key's id. */
  readonly by_key: readonly UsageRowView[]
  readonly by_provider: readonly UsageRowView[]
}

export type TargetHealth = {
  readonly target: string
  readonly provider: string
  readonly model: string
  /** `healthy`, `degraded`, `down`; `unknown`: no server runs. The measured fields are then null. */
  readonly state: string
  /** `closed`, `open`, `half_open`. */
  readonly circuit: string | null
  readonly set_aside_until: string | null
  readonly consecutive_failures: number | null
  readonly failure_share: number | null
  /** Peak-sensitive average of the time to the first byte. */
  readonly latency_ms: number | null
  readonly in_flight: number | null
}

export type ResetHealthBody = {
  /** Absent: every target. */
  readonly target?: string
}

/** Targets that something was known of. */
export type HealthReset = { readonly reset: readonly string[] }

export type HealthView = {
  readonly status: 'ok' | 'degraded'
  readonly version: string
  readonly serving: boolean
  readonly started_at: string
  readonly checks: Readonly<Record<string, string>>
  readonly targets: readonly TargetHealth[]
}

export type ConfigView = {
  /** Null: no file, only defaults and environment. */
  readonly file: string | null
  readonly revision: number
  readonly from_env: readonly string[]
  readonly missing_secrets: readonly { readonly path: string; readonly reference: string }[]
  /** As loaded; secrets are shown as references. */
  readonly config: JsonObject
}

export type ReloadView = { readonly reloaded: true; readonly revision: number }

export type EventQuery = {
  /** Types, separated by commas. Absent: all. */
  readonly type?: string
  /** For clients that cannot send `Last-Event-ID`. */
  readonly last_event_id?: string
}

/** The `data` of one server-sent event. */
export type EventView = {
  readonly id: number
  readonly type: string
  readonly at: string
  readonly data: JsonObject
}
