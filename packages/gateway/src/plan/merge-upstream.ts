import type {
  PolicyConfig,
  PromptConfig,
  RetryConfig,
  TimeoutsConfig,
  UpstreamFields,
} from '../config/policy-config.ts'
import { parseDurationMs } from '../lib/duration.ts'
import { type MergedRouting, mergeRouting, NO_MERGED_ROUTING } from './merge-routing.ts'
import {
  addNumber,
  type PolicyConflict,
  type PolicyLayer,
  type Sourced,
  sourced,
} from './sourced.ts'

type TimeoutName = keyof TimeoutsConfig

/** How a request reaches its provider, merged. Prompts of all layers hold, of the rest the later one. */
export type MergedUpstream = {
  /** A reference. */
  readonly credential: Sourced<string> | null
  readonly upstreamUrl: Sourced<string> | null
  readonly prompts: readonly Sourced<PromptConfig>[]
  /** Caps in ms. */
  readonly timeouts: Readonly<Record<TimeoutName, readonly Sourced<number>[]>>
  readonly maxRetries: Sourced<number> | null
  readonly fallbacks: Sourced<readonly string[]> | null
  readonly retryOn: Sourced<readonly number[]> | null
  readonly disableOverdueAfterMs: readonly Sourced<number>[]
  readonly routing: MergedRouting
}

export const NO_UPSTREAM: MergedUpstream = {
  credential: null,
  upstreamUrl: null,
  prompts: [],
  timeouts: { connect: [], first_byte: [], idle: [], total: [] },
  maxRetries: null,
  fallbacks: null,
  retryOn: null,
  disableOverdueAfterMs: [],
  routing: NO_MERGED_ROUTING,
}

export function mergeUpstream(
  merged: MergedUpstream,
  layer: PolicyLayer,
  conflicts: PolicyConflict[],
): MergedUpstream {
  const { policy } = layer
  const later = <T>(before: Sourced<T> | null, value: T | undefined): Sourced<T> | null =>
    value === undefined ? before : sourced(value, layer, '')
  const caps = timeoutsMs(policy.timeout ?? policy.routing?.timeout)
  const cap = (name: TimeoutName): readonly Sourced<number>[] =>
    addNumber(merged.timeouts[name], layer, { field: 'timeout', value: caps[name], conflicts })
  const retry = retryOf(policy)
  return {
    credential: later(merged.credential, credentialOf(policy)),
    upstreamUrl: later(merged.upstreamUrl, policy.upstream_url),
    prompts: [
      ...merged.prompts,
      ...(policy.prompts ?? []).map((prompt) => sourced(prompt, layer, '')),
    ],
    timeouts: {
      connect: cap('connect'),
      first_byte: cap('first_byte'),
      idle: cap('idle'),
      total: cap('total'),
    },
    maxRetries: later(merged.maxRetries, retry.max_retries),
    fallbacks: later(merged.fallbacks, retry.fallbacks),
    retryOn: later(merged.retryOn, retry.retry_on),
    disableOverdueAfterMs: addNumber(merged.disableOverdueAfterMs, layer, {
      field: 'disable_overdue_after',
      value:
        policy.disable_overdue_after === undefined
          ? undefined
          : parseDurationMs(policy.disable_overdue_after),
      conflicts,
    }),
    routing: mergeRouting(merged.routing, layer, conflicts),
  }
}

/** A reference, whichever name it was written under. */
export function credentialOf(policy: UpstreamFields): string | undefined {
  if (policy.base_key_env !== undefined) return `env:${policy.base_key_env}`
  return policy.credential
}

function retryOf({ retry, routing }: PolicyConfig): RetryConfig {
  const written = retry ?? routing?.retry ?? {}
  const fallbacks = written.fallbacks ?? routing?.fallbacks
  return fallbacks === undefined ? written : { ...written, fallbacks }
}

const MS_PER_SECOND = 1000

function timeoutsMs(
  timeout: UpstreamFields['timeout'],
): Readonly<Partial<Record<TimeoutName, number>>> {
  if (timeout === undefined) return {}
  if (typeof timeout === 'number') return { total: timeout * MS_PER_SECOND }
  if (typeof timeout === 'string') return { total: parseDurationMs(timeout) }
  const { connect, first_byte: firstByte, idle, total } = timeout
  return {
    ...(connect === undefined ? {} : { connect: parseDurationMs(connect) }),
    ...(firstByte === undefined ? {} : { first_byte: parseDurationMs(firstByte) }),
    ...(idle === undefined ? {} : { idle: parseDurationMs(idle) }),
    ...(total === undefined ? {} : { total: parseDurationMs(total) }),
  }
}
