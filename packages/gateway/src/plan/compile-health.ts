import type { HealthConfig } from '../config/health-schema.ts'
import { parseDurationMs } from '../lib/duration.ts'
import type { HealthPlan } from './gateway-plan.ts'
import { PlanError } from './plan-error.ts'

/** More often than this, probes were a load of their own. */
const SHORTEST_INTERVAL_MS = 100

/** Throws `PlanError`. */
export function compileHealth(config: HealthConfig): HealthPlan {
  const { breaker, probes, retry } = config
  const openMs = parseDurationMs(breaker.open_for)
  const maxOpenMs = parseDurationMs(breaker.max_open_for)
  const intervalMs = parseDurationMs(probes.interval)
  if (intervalMs < SHORTEST_INTERVAL_MS) {
    throw new PlanError('routing.probes.interval', `must be ${SHORTEST_INTERVAL_MS}ms or more`)
  }
  return {
    breaker: {
      failures: breaker.failures,
      failureShare: breaker.failure_share,
      minRequests: breaker.min_requests,
      windowMs: parseDurationMs(breaker.window),
      openMs,
      maxOpenMs: Math.max(openMs, maxOpenMs),
      whenAllOpen: breaker.when_all_open,
    },
    probes: probes.enabled ? { intervalMs, timeoutMs: parseDurationMs(probes.timeout) } : null,
    retries: { maxRetries: retry.max_retries, share: retry.budget, burst: retry.burst },
    quotaMs: parseDurationMs(config.quota_set_aside),
    obeyRates: config.provider_limits === 'obey',
  }
}
