import type { Protocol, ProtocolEndpoint } from '../../contracts/protocol.ts'
import { totalInputTokens, type Usage } from '../../contracts/usage.ts'
import type { UsageRecord } from '../../contracts/usage-record.ts'

/** A request of the past, as far as its record tells it. */
export type PastRequest = {
  readonly record: UsageRecord
  readonly keyId: string
  readonly model: string
  readonly protocol: Protocol
  readonly endpoint: ProtocolEndpoint
  readonly lastedMs: number
  readonly inputTokens: number
  /** The client's own cap; null: it gave none. */
  readonly maxOutputTokens: number | null
  readonly usage: Usage
  /** `failed`: nothing was generated. `unknown`: it was refused here, so that nobody knows what it would have used. */
  readonly kind: 'spent' | 'failed' | 'unknown'
  /** The record says what the client asked for. */
  readonly isExact: boolean
}

/** Why a record is no request that a policy decides on. */
export type PassedOver = 'no_key' | 'not_read' | 'from_cache' | 'unknown_endpoint'

/** Beyond the longest call: a clock that jumped. */
const LONGEST_MS = 3_600_000

export function pastRequest(
  record: UsageRecord,
  protocols: readonly Protocol[],
): PastRequest | PassedOver {
  const { keyId, requestedModel: model, usage, attempts } = record
  if (keyId === null) return 'no_key'
  if (record.cache !== null) return 'from_cache'
  if (model === null) return 'not_read'
  const protocol = protocols.find(({ id }) => id === record.protocol)
  const endpoint = protocol?.endpoints.find((one) => one.endpoint === record.endpoint)
  if (protocol === undefined || endpoint === undefined) return 'unknown_endpoint'
  const isSpent = isUsed(usage)
  const asked = record.asked ?? null
  const kind = isSpent ? 'spent' : attempts.length > 0 ? 'failed' : 'unknown'
  return {
    record,
    keyId,
    model,
    protocol,
    endpoint,
    lastedMs: Math.min(LONGEST_MS, Math.max(0, record.latencyMs)),
    inputTokens: isSpent ? totalInputTokens(usage) : (asked?.inputTokens ?? 0),
    maxOutputTokens: asked === null ? usage.outputTokens : asked.maxOutputTokens,
    usage,
    kind,
    isExact: asked !== null,
  }
}

function isUsed({ inputTokens, outputTokens, cacheReadTokens }: Usage): boolean {
  return inputTokens !== null || outputTokens !== null || cacheReadTokens !== null
}
