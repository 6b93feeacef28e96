import type { LimitUnit } from '../contracts/limit.ts'

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
  readonly match?: LimitMatchConfig
  readonly mode?: 'enforce' | 'warn' | 'shadow'
  readonly reserve?: 'auto' | 'max' | 'expected' | 'lease'
  readonly when_short?: 'shrink' | 'refuse'
  readonly min_output?: number
  readonly alerts?: readonly number[]
  readonly on_backend_failure?: 'local' | 'deny' | 'allow'
}

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

/** What a provider entry may say, and what every policy may say. */
export type PolicyFields = LimitShorthands & {
  readonly models?: NameList | { readonly allow?: NameList; readonly deny?: NameList }
  readonly endpoints?: readonly string[]
  readonly limits?: readonly LimitConfig[]
  readonly max_output_tokens?: number
  readonly max_input_tokens?: number
  /** US dollars. */
  readonly max_cost_per_request?: number
  readonly unpriced?: 'deny' | 'allow'
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

/** A policy as written, validated. The same object stands in `policy`, `policies.X`, `teams.X.policy` and on a key. */
export type PolicyConfig = PolicyFields & {
  readonly model?: string
  readonly model_regex?: string
  /** In order; a map of names is turned into a list in its written order. */
  readonly providers?: readonly ProviderEntryConfig[]
  readonly default_provider?: string
  readonly ip_allow?: readonly string[]
  readonly trust_scope_headers?: boolean
  /** Fields that later policies may loosen. */
  readonly overridable?: readonly string[]
}
