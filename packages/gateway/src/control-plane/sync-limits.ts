import { bucketId, bucketLimit, DEFAULT_BUCKET } from '../config/foreign-limits.ts'
import { counterKey } from '../lib/counter-key.ts'
import { waitMs } from '../lib/stated-wait.ts'
import { compileLimit } from '../plan/compile-limit.ts'
import type { ProviderPlan } from '../plan/gateway-plan.ts'
import { setGlobalBucket } from './bucket-routes.ts'
import type { Control } from './control.ts'

const PROTOCOL = 'openai-chat'
/** As TokenGuard's. */
const DEFAULT_MODEL = 'gpt-4o-mini'
const DEFAULT_PROVIDER = 'openai'
/** TokenGuard's header names of what a vendor says, in its order. */
const RATE_NAMES = [
  'x-ratelimit-limit-requests',
  'x-ratelimit-limit-tokens',
  'x-ratelimit-remaining-requests',
  'x-ratelimit-remaining-tokens',
  'x-ratelimit-reset-requests',
  'x-ratelimit-reset-tokens',
] as const
const MS_PER_S = 1000
const MOST_TOKENS = 1e12

/** Nothing can be asked, or what was told is of no use. */
export class SyncFailed extends Error {}

/** Null: the one that is usual. */
export type SyncAsked = { readonly provider: string | null; readonly model: string | null }

/** In TokenGuard's words. */
export type SyncAnswer =
  | { readonly status: 'skipped'; readonly reason: string }
  | {
      readonly success: true
      readonly message: string
      readonly openai_headers: Readonly<Record<string, unknown>>
      readonly global_bucket: {
        readonly tokens: number
        readonly capacity: number
        readonly refill_per_sec: number
      }
    }

/**
 * Brings the global bucket to what a vendor says of its own limit on tokens: one small completion is asked for, whose
 * headers tell. Throws `SyncFailed`, or the `GatewayError` of the call.
 */
export async function syncLimits(control: Control, asked: SyncAsked): Promise<SyncAnswer> {
  const provider = providerOf(control, asked.provider)
  if (isTest(provider)) return { status: 'skipped', reason: 'test environment detected' }
  const headers = await control.askForRates(provider.name, asked.model ?? DEFAULT_MODEL)
  const told = Object.fromEntries(RATE_NAMES.map((name) => [name, headers[name] ?? null]))
  const bucket = bucketOf(headers)
  await setGlobalBucket(control, bucket)
  await fillTo(control, bucket)
  return {
    success: true,
    message: 'The global bucket is as the provider says.',
    openai_headers: told,
    global_bucket: {
      tokens: bucket.tokens,
      capacity: bucket.capacity,
      refill_per_sec: bucket.refillPerSec,
    },
  }
}

function providerOf(control: Control, asked: string | null): ProviderPlan {
  const { providers } = control.plan()
  const own = asked === null ? providers.get(DEFAULT_PROVIDER) : providers.get(asked)
  const first = [...providers.values()].find(({ protocols }) => protocols.includes(PROTOCOL))
  const provider = own ?? (asked === null ? first : undefined)
  if (provider?.protocols.includes(PROTOCOL) === true) return provider
  throw new SyncFailed('no provider of this name speaks chat completions')
}

/** Of the credentials that TokenGuard takes for no real ones. */
function isTest({ auth, credential, credentialMissing }: ProviderPlan): boolean {
  if (credentialMissing !== null) return true
  if (auth.kind === 'none') return false
  const text = credential ?? ''
  return text === '' || text === 'sk-test' || text.startsWith('test-')
}

type Synced = { readonly tokens: number; readonly capacity: number; readonly refillPerSec: number }

function bucketOf(headers: Readonly<Record<string, unknown>>): Synced {
  const capacity = countOf(headers['x-ratelimit-limit-tokens'])
  const remaining = countOf(headers['x-ratelimit-remaining-tokens'])
  const reset = headers['x-ratelimit-reset-tokens']
  const resetMs = typeof reset === 'string' ? waitMs(reset, Date.now()) : null
  if (capacity === null || remaining === null || resetMs === null) {
    throw new SyncFailed('the provider says nothing of its limits on tokens')
  }
  const tokens = Math.min(capacity, remaining)
  // A full bucket says nothing of how fast it fills.
  const filled = resetMs > 0 && tokens < capacity
  const refillPerSec = filled
    ? ((capacity - tokens) / resetMs) * MS_PER_S
    : DEFAULT_BUCKET.refillPerSec
  return { tokens, capacity, refillPerSec: Math.round(refillPerSec * 1000) / 1000 }
}

function countOf(value: unknown): number | null {
  if (typeof value !== 'string' || !/^\d{1,15}$/.test(value)) return null
  return Math.min(MOST_TOKENS, Number(value))
}

/** Takes from the bucket what the provider says is gone. */
async function fillTo(control: Control, { tokens, capacity, refillPerSec }: Synced): Promise<void> {
  const id = bucketId('global')
  const states = await control.gate.reset(id, '')
  await control.store.counters.put(states)
  const gone = capacity - tokens
  if (gone <= 0) return
  const config = bucketLimit('global', { capacity, refillPerSec })
  const limit = compileLimit({ ...config, id, unit: 'tokens', algorithm: 'bucket' })
  const charge = { limit, value: '', counterKey: counterKey(id, 'global', '') }
  const demand = { inputTokens: gone, outputTokens: 0, fixedCostPicoUsd: 0, outputPicoUsd: 0 }
  const taken = await control.gate.reserve([charge], demand)
  if (!taken.ok) return
  control.gate.settle(taken.reservation, { inputTokens: gone, outputTokens: 0, costNanoUsd: 0 })
}
