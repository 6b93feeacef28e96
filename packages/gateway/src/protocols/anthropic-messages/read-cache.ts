import type { CacheHint } from '../../contracts/conversation.ts'
import type { LossList } from '../../contracts/dialect.ts'
import { isRecord } from '../../lib/is-record.ts'
import { type Fields, listUnknown } from './fields.ts'

const CACHE: ReadonlySet<string> = new Set(['type', 'ttl'])

export function readCache(block: Fields, path: string, losses: LossList): CacheHint | null {
  const cache = block['cache_control']
  if (!isRecord(cache)) return null
  listUnknown(cache, CACHE, { path: `${path}.cache_control`, losses })
  const { ttl } = cache
  return { ttl: typeof ttl === 'string' ? ttl : null }
}
