import type { CacheHint } from '../../contracts/conversation.ts'
import type { LossList } from '../../contracts/dialect.ts'

/** More are refused; other models refuse any. From general knowledge of the user guide, "prompt caching". */
const MAX_POINTS = 4
const CACHING_MODELS = /claude|nova/

/** Writes the cache breakpoints of one request: blocks of their own, behind what they end. */
export class CachePoints {
  private count = 0
  private readonly most: number
  private readonly losses: LossList

  constructor(model: string, losses: LossList) {
    this.most = CACHING_MODELS.test(model) ? MAX_POINTS : 0
    this.losses = losses
  }

  /** A block with its comma in front; `''` for none. */
  behind(cache: CacheHint | null): string {
    if (cache === null) return ''
    this.count++
    if (this.count > this.most) {
      this.losses.add('cache_control')
      return ''
    }
    const ttl = cache.ttl === null ? '' : `,"ttl":${JSON.stringify(cache.ttl)}`
    return `,{"cachePoint":{"type":"default"${ttl}}}`
  }

  /** A place inside a tool's result, which takes no breakpoint. */
  inside(cache: CacheHint | null): void {
    if (cache !== null) this.losses.add('cache_control')
  }
}
