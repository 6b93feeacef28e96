import type { LimitUnit, Refusal, ReserveResult } from '../../contracts/limit.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import type { RouteContext } from '../pipeline/request-context.ts'

/** How long a request waits for what others hold but will mostly give back. Milliseconds. */
const MAX_WAIT_MS = 10_000
const RETRY_MS = 20
/** Where asking costs a round trip, each pause is longer than the one before, up to this. */
const LONGEST_RETRY_MS = 200
const RETRY_GROWTH = 1.5
/** Beyond this many waiting requests, the next one is refused at once. */
const MAX_WAITING = 200

/** Worst cases of these units are much larger than what is used, so that most of it comes back. */
const RETURNED: ReadonlySet<LimitUnit> = new Set<LimitUnit>(['tokens', 'output_tokens', 'usd'])

let waiting = 0

/** Whether only reservations of others stand in the way, not what was really used. */
export function isHeldByOthers({ limit, used, reserved, amount, neverFits }: Refusal): boolean {
  return !neverFits && reserved > 0 && RETURNED.has(limit.unit) && used - reserved < amount
}

/**
 * Tries again while others hold the room, so that a budget is not refused as spent that is only reserved.
 *
 * Gives the last result. Throws `cancelled` when the client leaves.
 */
export async function awaitRoom(
  ctx: RouteContext,
  first: ReserveResult,
  reserve: () => ReserveResult | Promise<ReserveResult>,
): Promise<ReserveResult> {
  if (waiting >= MAX_WAITING) return first
  waiting++
  try {
    const untilMs = performance.now() + MAX_WAIT_MS
    let result = first
    let pauseMs = RETRY_MS
    while (!result.ok && isHeldByOthers(result.refusal) && performance.now() < untilMs) {
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
      if (ctx.clientGone) throw new GatewayError('cancelled', 'The client left.')
      const taken = reserve()
      if (taken instanceof Promise) pauseMs = Math.min(LONGEST_RETRY_MS, pauseMs * RETRY_GROWTH)
      result = taken instanceof Promise ? await taken : taken
    }
    return result
  } finally {
    waiting--
  }
}
