import type { GatewayConfig } from '../config/gateway-config.ts'
import type { LoadedConfig } from '../config/load-config.ts'
import type { SecretSources } from '../config/secret.ts'
import type { EventBus } from '../contracts/event.ts'
import type { Gate } from '../contracts/limit.ts'
import type { Protocol } from '../contracts/protocol.ts'
import type { ProviderFacts } from '../contracts/provider.ts'
import type { TargetSignals } from '../contracts/routing.ts'
import type { LedgerWriter, Store } from '../contracts/store.ts'
import type { SimulatedRequest, SimulatedRoute } from '../data-plane/routing/simulate-route.ts'
import type { TriedAdmission, TriedRequest } from '../data-plane/what-if/try-admission.ts'
import type { Clock } from '../lib/clock.ts'
import type { Readiness } from '../lib/readiness.ts'
import type { GatewayPlan } from '../plan/gateway-plan.ts'
import type { KeyRing } from '../plan/key-ring.ts'

/**
 * What the admin API works on. The server gives it with live parts; the CLI, when no server runs, gives it over the store
 * alone, so that both go the same way.
 */
export type Control = {
  readonly version: string
  readonly startedAtMs: number
  /** False: no server runs, and this process only works on the store. */
  readonly serving: boolean
  readonly adminToken: string
  /** The current hash key, under which new keys are hashed. */
  readonly hashKey: string
  readonly clock: Clock
  readonly store: Store
  readonly ledger: LedgerWriter
  readonly keyRing: KeyRing
  readonly gate: Gate
  readonly targets: TargetControl
  readonly events: EventBus
  readonly catalogue: ReadonlyMap<string, ProviderFacts>
  readonly config: () => LoadedConfig
  readonly plan: () => GatewayPlan
  /** The plan of another configuration; nothing runs on it. Throws `PlanError`. */
  readonly planOf: (config: GatewayConfig) => GatewayPlan
  /** Where the secrets of the configuration are looked up. */
  readonly secretSources: () => SecretSources
  /** Compiles the configuration and the stored policies anew and swaps them in. Throws `PlanError`; the old plan then stays. */
  readonly recompile: () => Promise<void>
  /** Reads the configuration file again. Throws `ConfigError` or `PlanError`; the old plan then stays. */
  readonly reload: () => Promise<void>
  /** Resolves when every process that answers requests uses what was changed so far. Absent: this one does. */
  readonly applied?: () => Promise<void>
  /** The body of `GET /admin/v1/stats`. */
  readonly stats: () => Readonly<Record<string, unknown>>
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>
  /** Parts that must work before traffic is taken: what is wrong with each, or null. */
  readonly readiness: () => Readiness
  readonly protocols: readonly Protocol[]
  /** What the selector would do, once for each seed. Leaves no trace. */
  readonly simulateRoutes: (
    request: SimulatedRequest,
    seeds: readonly string[],
  ) => Promise<readonly SimulatedRoute[]>
  /** What admission would do with a request. Leaves no trace. */
  readonly tryAdmission: (request: TriedRequest) => Promise<TriedAdmission>
  /** Calls a provider's model list with its credential. Never throws. */
  readonly testProvider: (name: string) => Promise<ProviderTest>
  /** Headers of the smallest completion, which tell the provider's own limits. Throws `GatewayError`. */
  readonly askForRates: (
    provider: string,
    model: string,
  ) => Promise<Readonly<Record<string, unknown>>>
  /** Its ids, or what went wrong. Never throws. */
  readonly discoverModels: (
    name: string,
  ) => Promise<ProviderTest & { readonly models: readonly string[] }>
}

/** What targets have shown, and the operator's word on it. Times are monotonic. */
export type TargetControl = {
  readonly signals: (target: string, nowMs: number) => TargetSignals
  readonly list: (nowMs: number) => readonly (TargetSignals & { readonly target: string })[]
  readonly isKnown: (target: string) => boolean
  /** Null: every target. Returns those that something was known of. */
  readonly reset: (target: string | null) => Promise<readonly string[]>
}

type ProviderTest = {
  readonly provider: string
  readonly ok: boolean
  readonly status: number | null
  readonly latencyMs: number
  /** What went wrong, for a person; null when all is well. */
  readonly problem: string | null
}
