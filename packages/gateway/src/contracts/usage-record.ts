import type { DurableCharge } from './durable-charge.ts'
import type { RouteDecision } from './routing.ts'
import type { Usage } from './usage.ts'

/** One try at one target. `errorClass` is null for the one that succeeded. */
export type AttemptRecord = {
  readonly target: string
  readonly status: number | null
  readonly errorClass: string | null
  readonly durationMs: number
  /** What it was worth to the bandit that chose it, 0 to 1. Absent: nothing was learned. */
  readonly reward?: number
}

/**
 * One line of the ledger: one per request, whatever the endpoint, outcome or path. Immutable once written.
 *
 * `id` sorts by time. Money is integer nano-US-dollars; `costNanoUsd` null means unpriced, 0 means free.
 */
export type UsageRecord = {
  readonly id: string
  readonly requestId: string
  readonly upstreamRequestId: string | null
  readonly startedAtMs: number
  readonly keyId: string | null
  readonly keyName: string | null
  readonly team: string | null
  readonly rolegroup: string | null
  readonly role: string | null
  readonly user: string | null
  readonly endpoint: string
  readonly protocol: string
  readonly requestedModel: string | null
  readonly model: string | null
  readonly servedModel: string | null
  readonly provider: string | null
  readonly target: string | null
  readonly attempts: readonly AttemptRecord[]
  /** HTTP status as the client saw it; 499 when it left before an answer. */
  readonly status: number
  /** `gateway` or `provider`: who refused; null when nobody did. */
  readonly errorSource: string | null
  /** Code of errors/gateway-error.ts, or an upstream error class; null when the call succeeded. */
  readonly errorClass: string | null
  readonly stream: boolean
  /** The answer reached its protocol's terminal evidence and was handed to the client whole. */
  readonly complete: boolean
  readonly usage: Usage
  readonly estimated: boolean
  readonly costNanoUsd: number | null
  readonly savedNanoUsd: number
  readonly latencyMs: number
  readonly ttftMs: number | null
  readonly overheadMs: number
  readonly cache: string | null
  readonly limits: readonly string[]
  /** What it came to at limits of an hour or more, or for life. Absent: nothing, or in older records. */
  readonly charges?: readonly DurableCharge[]
  /** What the request asked for. Null: its body was not read; absent in older records. */
  readonly asked?: AskedRecord | null
  readonly project: string | null
  readonly userAgent: string | null
  readonly sessionId: string | null
  readonly clientIp: string | null
  readonly metadata: Readonly<Record<string, string>>
  /** The provider was spoken to in another protocol than the client's; null, or absent in older records: it was not. */
  readonly translation?: TranslationRecord | null
  /** Why it went where it went. Null: it came to no choice; absent in older records. */
  readonly routing?: RouteDecision | null
}

/**
 * Upper bounds that the client set or that were counted: `inputTokens` null: nothing had to be counted; `maxOutputTokens`: its
 * own cap over all the answers that it asked for, null: none.
 */
export type AskedRecord = {
  readonly inputTokens: number | null
  readonly maxOutputTokens: number | null
}

/** `losses`: fields of the request that could not be carried. */
export type TranslationRecord = { readonly protocol: string; readonly losses: readonly string[] }
