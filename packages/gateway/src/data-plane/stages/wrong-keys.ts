import { GatewayError } from '../../errors/gateway-error.ts'
import { networkOf } from '../../lib/cidr.ts'

/** How many wrong keys one source may show within a window, before its next ones get a 429. */
const ALLOWED = 20
const WINDOW_MS = 60_000
const MS_PER_SEC = 1000
/** An attacker with more sources than this is not slowed down by any count per source. */
const MAX_SOURCES = 10_000
/** What could be a key of somebody. Anything else guesses nothing, and is always told that it is wrong. */
const KEY_SHAPE = /^(?=.*[a-z])[\w-]{16,}$/i
/** Network of one IPv6 subscriber. */
const SUBSCRIBER_BITS = 64

type Count = { wrong: number; readonly untilMs: number }

/**
 * Tells guessing from mistakes: counts the wrong keys of each source. Keys that are valid are never refused for it, since one
 * address may stand for many callers. One per process.
 */
export class WrongKeys {
  readonly #counts = new Map<string, Count>()

  /** What a caller gets whose key is missing or not valid. One answer for every reason. `nowMs` is monotonic. */
  refusal(credential: string | null, clientIp: string, nowMs: number): GatewayError {
    if (credential === null || !KEY_SHAPE.test(credential)) return refusedKey()
    const count = this.#countOf(sourceOf(clientIp), nowMs)
    count.wrong += 1
    if (count.wrong <= ALLOWED) return refusedKey()
    const headers = {
      'retry-after': String(Math.max(1, Math.ceil((count.untilMs - nowMs) / MS_PER_SEC))),
      'x-should-retry': 'false',
    }
    return new GatewayError(
      'too_many_wrong_keys',
      'The API key is not valid, like many others from this address.',
      { details: { headers } },
    )
  }

  #countOf(source: string, nowMs: number): Count {
    const known = this.#counts.get(source)
    if (known !== undefined && nowMs < known.untilMs) return known
    this.#counts.delete(source)
    if (this.#counts.size >= MAX_SOURCES) {
      const [oldest] = this.#counts.keys()
      this.#counts.delete(oldest ?? '')
    }
    const count = { wrong: 0, untilMs: nowMs + WINDOW_MS }
    this.#counts.set(source, count)
    return count
  }
}

/** For a key that is missing, unknown, disabled, expired or revoked alike. */
export function refusedKey(): GatewayError {
  return new GatewayError('invalid_api_key', 'The API key is missing or not valid.')
}

/** Without its zone, which only this machine knows. */
function sourceOf(clientIp: string): string {
  const [address = ''] = clientIp.split('%')
  return String(networkOf(address, SUBSCRIBER_BITS) ?? clientIp)
}
