import type { LimitCharge, LimitPlan } from '../../contracts/limit.ts'
import {
  bucket,
  chargeOf,
  concurrent,
  fixed,
  HOUR,
  lifetime,
  limitOf,
  MINUTE,
  SECOND,
  sliding,
} from '../gate-fixtures.ts'

const PARALLEL = 4

/** Small enough that a few clients meet all of them. The first four outlive the process. */
export const LIMITS: readonly LimitPlan[] = [
  limitOf(lifetime(1_500), { id: 'life', reserve: 'lease' }),
  limitOf(fixed(900, HOUR), { id: 'hour', whenShort: 'shrink', minOutputTokens: 5 }),
  limitOf(sliding(1_000, HOUR), { id: 'slide', reserve: 'lease', scope: 'team' }),
  limitOf(lifetime(2_000_000), { id: 'usd', unit: 'usd', reserve: 'lease', scope: 'global' }),
  limitOf(sliding(12, SECOND), { id: 'second', unit: 'requests' }),
  limitOf(bucket(500, 9), { id: 'bucket', reserve: 'lease' }),
  limitOf(sliding(700, MINUTE), { id: 'minute', whenShort: 'shrink', minOutputTokens: 5 }),
  limitOf(concurrent(PARALLEL), { id: 'parallel', unit: 'concurrent' }),
]

const KEYS = ['a', 'b', 'c'] as const
export const KEY_COUNT: number = KEYS.length

export function chargesOf(key: number): readonly LimitCharge[] {
  return LIMITS.map((limit) => {
    if (limit.scope === 'global') return chargeOf(limit, '')
    return chargeOf(limit, limit.scope === 'team' ? `team-${key % 2}` : (KEYS[key] ?? 'a'))
  })
}
