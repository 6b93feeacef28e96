import type { LimitUnit } from '../contracts/limit.ts'
import type { Strategy } from '../contracts/routing.ts'
import type { Prompt } from '../contracts/protocol.ts'

/** One pattern or several: exact, glob (`*`, `?`) or `re:` (RE2, anchored). */
export type NameList = string | readonly string[]

/** A limit as written. `amount` and `capacity` of unit `usd` are US dollars. */
export type LimitConfig = {
  readonly id?: string
  readonly scope: string
  readonly unit?: LimitUnit
  readonly algorithm?: 'bucket' | 'sliding' | 'fixed' | 'lifetime' | 'concurrent'
  readonly amount?: number
  readonly window?: string
  readonly align?: 'clock' | 'first_use'
  readonly capacity?: number
  readonly refill_per_sec?: number
  /** TokenGuard's spelling of `refill_per_sec`. */
  readonly refillPerSec?: number
  /** Amounts of their own for some of the scope's values. Without an amount beside it, the limit is for these only. */
  readonly values?: Readonly<Record<string, LimitAmounts>>
  readonly match?: LimitMatchConfig
  readonly mode?: 'enforce' | 'warn' | 'shadow'
  readonly reserve?: 'auto' | 'max' | 'expected' | 'lease'
  readonly when_short?: 'shrink' | 'refuse'
  readonly min_output?: number
  readonly alerts?: readonly number[]
  readonly on_backend_failure?: 'local' | 'deny' | 'allow'
}

export type LimitAmounts = Pick<
  LimitConfig,
  'amount' | 'capacity' | 'refill_per_sec' | 'refillPerSec'
>

export type LimitMatchConfig = {
  readonly models?: NameList
  readonly providers?: NameList
  readonly endpoints?: NameList
}

/** Limits in the words of the systems that came before; see docs/guides/limits.md for what each becomes. */
export type LimitShorthands = {
  readonly max_tokens?: number
  readonly rate_limit?: {
    readonly rules?: readonly RateRuleConfig[]
    readonly max_parallel?: number
  }
  readonly budget?: {
    readonly hourly?: number
    readonly daily?: number
    readonly monthly?: number
  }
  readonly monthly_budget_usd?: number
  readonly rate_limit_rps?: number
}

export type RateRuleConfig = {
  readonly requests?: number
  readonly tokens?: number
  readonly window?: string
  readonly strategy?: 'sliding' | 'fixed'
}

/** Durations as text. */
export type TimeoutsConfig = {
  readonly connect?: string
  readonly first_byte?: string
  readonly idle?: string
  readonly total?: string
}

export type PromptConfig = {
  readonly role: Prompt['role']
  readonly content: string
  /** Absent: `start`. */
  readonly position?: Prompt['position']
}

export type RetryConfig = {
  /** How often one target is asked again. */
  readonly max_retries?: number
  /** Public model names, in order. */
  readonly fallbacks?: readonly string[]
  readonly retry_on?: readonly number[]
}

/** How a request reaches its provider: in a policy and in each of its provider entries. */
export type UpstreamFields = {
  /** A reference: `env:NAME` or `file:path`. */
  readonly credential?: string
  /** Tokenomics: the environment variable that holds the credential. */
  readonly base_key_env?: string
  readonly upstream_url?: string
  readonly prompts?: readonly PromptConfig[]
  /** Whole seconds (Tokenomics) or a duration, for all of a call; or each part. */
  readonly timeout?: number | string | TimeoutsConfig
}

/** What a provider entry may say, and what every policy may say. */
export type PolicyFields = LimitShorthands &
  UpstreamFields & {
    readonly models?: NameList | { readonly allow?: NameList; readonly deny?: NameList }
    readonly endpoints?: readonly string[]
    readonly limits?: readonly LimitConfig[]
    readonly max_output_tokens?: number
    readonly max_input_tokens?: number
    /** US dollars. */
    readonly max_cost_per_request?: number
    readonly unpriced?: 'deny' | 'allow'
    /** Refuse with 400 what a translation to another protocol cannot carry. */
    readonly strict_translation?: boolean
    readonly metadata?: Readonly<Record<string, string>>
  }

export type ProviderEntryConfig = PolicyFields & {
  readonly match?: { readonly models?: NameList }
  readonly provider?: string
  /** Tokenomics: the exact model that this entry serves. */
  readonly model?: string
  /** Tokenomics: an unanchored RE2 search. */
  readonly model_regex?: string
}

/** How targets are chosen and asked. */
export type PolicyRoutingConfig = {
  readonly fallbacks?: readonly string[]
  readonly retry?: RetryConfig
  readonly timeout?: UpstreamFields['timeout']
  readonly mode?: string
  readonly strategy?: Strategy
  /** A second attempt at the next target, when the first is slow. `after`: `p95`, or a duration. */
  readonly hedge?: { readonly after: string; readonly max: 1 }
  /** Models that are tried when a vendor's content filter refuses. */
  readonly content_fallbacks?: readonly string[]
  /** Models that are tried when the context is too small; true: all that the key may use. */
  readonly escalate?: boolean | readonly string[]
  readonly min_weight?: number
  /** A duration. */
  readonly max_latency?: string
  /** TokenHub's spelling of `max_latency`. */
  readonly max_latency_ms?: number
  /** US dollars. */
  readonly max_cost?: number
  /** TokenHub's spelling of `max_cost`. */
  readonly max_budget_usd?: number
  /** Headers and texts of users may ask something of the choice. */
  readonly directives?: boolean
}

/** A policy as written, validated. The same object stands in `policy`, `policies.X`, `teams.X.policy` and on a key. */
export type PolicyConfig = PolicyFields & {
  readonly model?: string
  readonly model_regex?: string
  /** In order; a map of names is turned into a list in its written order. */
  readonly providers?: readonly ProviderEntryConfig[]
  readonly default_provider?: string
  readonly ip_allow?: readonly string[]
  readonly trust_scope_headers?: boolean
  readonly retry?: RetryConfig
  readonly routing?: PolicyRoutingConfig
  /** A key that is this long overdue for rotation is refused; absent: never. */
  readonly disable_overdue_after?: string
  /** Fields that later policies may loosen. */
  readonly overridable?: readonly string[]
}
