import type { CacheHint } from '../../contracts/conversation.ts'
import type { LossList } from '../../contracts/dialect.ts'

/** More are refused. @see https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching (from general knowledge) */
const MAX_MARKS = 4

/** Writes the cache breakpoints of one request, the first four. */
export class CacheMarks {
  private count = 0
  private readonly losses: LossList

  constructor(losses: LossList) {
    this.losses = losses
  }

  /** The member with its comma in front; `''` for none. */
  member(cache: CacheHint | null): string {
    if (cache === null) return ''
    this.count++
    if (this.count > MAX_MARKS) {
      this.losses.add('cache_control')
      return ''
    }
    const ttl = cache.ttl === null ? '' : `,"ttl":${JSON.stringify(cache.ttl)}`
    return `,"cache_control":{"type":"ephemeral"${ttl}}`
  }
}
