import type { FailureClass } from '../contracts/provider.ts'
import type { Capability, ModeWeights, Strategy } from '../contracts/routing.ts'
import type { HealthConfig } from './health-schema.ts'
import type { LimitsBackend } from './limits-backend.ts'
import type { PolicyConfig, TimeoutsConfig } from './policy-config.ts'
import type { Secret } from './secret.ts'

/**
 * tollgate.yaml, validated, with every default filled in. Plain data under the names of the file.
 *
 * Durations and sizes stay texts here (`5s`, `10MiB`; they are known to parse); `plan/` turns them into numbers.
 */
export type GatewayConfig = {
  /** Absolute. */
  readonly dir: string
  readonly server: ServerConfig
  readonly admin: AdminConfig
  readonly log: {
    readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'
    /** Null: pretty on a terminal, else JSON. */
    readonly format: 'json' | 'pretty' | null
  }
  readonly storage: StorageConfig
  readonly limits: {
    readonly backend: LimitsBackend
    /** Gateways with the same one share counters. */
    readonly namespace: string
    /** Longest silence of Redis while a call waits. */
    readonly timeout: string
  }
  readonly keys: KeysConfig
  readonly ledger: {
    readonly enabled: boolean
    /** Null: kept for ever. */
    readonly retention: string | null
    readonly durability: 'normal' | 'full'
  }
  readonly idempotency: IdempotencyConfig
  readonly providers: Readonly<Record<string, ProviderConfig>>
  readonly models: Readonly<Record<string, ModelConfig>>
  readonly aliases: Readonly<Record<string, AliasConfig>>
  readonly routing: RoutingConfig
  readonly policy: PolicyConfig
  readonly policies: Readonly<Record<string, PolicyConfig>>
  readonly teams: Readonly<Record<string, TeamConfig>>
  readonly virtual_keys: readonly VirtualKeyConfig[]
  readonly credentials: { readonly allowed: readonly AllowedCredentialConfig[] }
  readonly custom_upstreams: {
    readonly enabled: boolean
    readonly allow_private: boolean
    readonly ports: readonly number[]
  }
}

export type StorageConfig = {
  /** `sqlite:` and an absolute path; a secret: the URL of Postgres. */
  readonly url: string | Secret
  /** To Postgres, at most. */
  readonly connections: number
  /** How long a start waits for Postgres. Null: for ever. */
  readonly wait: string | null
  /** Of records that wait on disk for Postgres. */
  readonly spool_max: string | number
}

/** Answers that are kept to be given again under an Idempotency-Key. */
export type IdempotencyConfig = {
  readonly enabled: boolean
  readonly ttl: string
  readonly max_answer: string | number
  readonly max_bytes: string | number
  readonly max_entries: number
}

/** A credential that policies may name. */
export type AllowedCredentialConfig = {
  readonly credential: Secret
  /** Where it may be sent; absent: to the provider for which the policy names it. */
  readonly providers?: readonly string[]
}

export type ServerConfig = {
  readonly host: string
  readonly port: number
  readonly max_body: string | number
  readonly max_document_body: string | number
  readonly max_json_depth: number
  readonly keep_alive: string
  readonly headers_timeout: string
  readonly body_idle_timeout: string
  readonly shutdown_grace: string
  readonly trusted_proxies: readonly string[]
  /** Processes that answer requests; `auto`: as many as there are cores. */
  readonly workers: number | 'auto'
}

export type AdminConfig = {
  readonly host: string
  readonly port: number
  /** Null: not configured; `serve` creates one in the data directory. */
  readonly token: Secret | null
}

export type KeysConfig = {
  /** May be missing on a first start; `serve` then creates the file. */
  readonly hash_key: Secret
  readonly previous: readonly Secret[]
  readonly required: boolean
}

export type AuthConfig = {
  readonly kind: 'bearer' | 'header' | 'query' | 'none'
  /** Of the header or the query parameter. */
  readonly name?: string
}

/** Everything absent comes from the catalogue entry of the same name (or of `extends`). */
export type ProviderConfig = {
  readonly extends?: string
  readonly protocol?: string | readonly string[]
  readonly base_url?: string
  /** Absent: the environment variable that the catalogue names. */
  readonly credential?: Secret
  readonly auth?: AuthConfig
  readonly headers?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string>>
  readonly params?: Readonly<Record<string, string>>
  readonly paths?: Readonly<Record<string, string>>
  readonly failures?: Readonly<Record<string, FailureClass>>
  /** The member of the request that caps output, where it is not the protocol's own. */
  readonly output_cap_member?: string
  readonly allow_private?: boolean
  readonly on_client_abort?: 'abort' | 'drain'
  readonly drain_cap?: string
  readonly timeouts?: TimeoutsConfig
}

/** US dollars per million tokens. */
export type RatesConfig = {
  readonly input?: number
  readonly output?: number
  readonly cache_read?: number
  readonly cache_write_5m?: number
  readonly cache_write_1h?: number
  readonly reasoning?: number
}

export type PriceConfig = RatesConfig & {
  readonly tiers?: readonly (RatesConfig & { readonly above_input_tokens: number })[]
}

export type ModelFacts = {
  readonly price?: PriceConfig
  readonly context?: number
  readonly max_output?: number
  readonly tokenizer?: 'o200k_base' | 'cl100k_base'
  /** What it can do, and what it cannot; what is not named is not known. */
  readonly capabilities?: CapabilitiesConfig
}

export type CapabilitiesConfig = Readonly<Partial<Record<Capability, boolean>>>

export type TargetConfig = ModelFacts & {
  readonly provider: string
  /** Absent: the public name. */
  readonly model?: string
  readonly weight?: number
  /** Absent: `provider/model`. */
  readonly id?: string
  readonly enabled?: boolean
  /** Absent: the provider's. */
  readonly credential?: Secret
}

export type ModelConfig = ModelFacts & {
  readonly targets: readonly TargetConfig[]
  /** Absent: that of `routing`. */
  readonly strategy?: Strategy
}

/** A name for weighted variants. Also as the admin API stores it. */
export type AliasConfig = {
  readonly variants: readonly { readonly model: string; readonly weight: number }[]
  readonly sticky: 'request' | 'key' | 'session' | 'round_robin'
  readonly enabled: boolean
}

export type RoutingConfig = HealthConfig & {
  /** Of models that name none, and of `*`. Absent: `priority`, and for `*` `score`. */
  readonly strategy?: Strategy
  /** Of the strategy `score`. */
  readonly default_mode: string
  readonly modes: Readonly<Record<string, ModeWeights>>
  /** Of the strategy `thompson`: what is known of a target loses half its weight in a time, and two thirds in requests. */
  readonly thompson: { readonly half_life: string; readonly window: number }
  /** What `*` and `auto` stand for. Absent: all models of the configuration. */
  readonly wildcard?: readonly string[]
}

export type TeamConfig = { readonly policy: PolicyConfig }

/** A key declared in the file, for bootstrap. The secret itself never stands here. */
export type VirtualKeyConfig = {
  readonly name: string
  /** HMAC-SHA-256(hash key, secret) in hex; `tollgate key hash` prints it. */
  readonly hash: string
  readonly last4?: string
  readonly policy?: PolicyConfig
  readonly policies?: readonly string[]
  readonly scopes?: readonly string[]
  readonly subject?: {
    readonly team?: string
    readonly rolegroup?: string
    readonly role?: string
    readonly user?: string
  }
  /** RFC 3339. */
  readonly expires?: string
  readonly enabled?: boolean
  readonly metadata?: Readonly<Record<string, string>>
}
