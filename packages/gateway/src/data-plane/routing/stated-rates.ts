import type { IncomingHttpHeaders } from 'node:http'
import type { Protocol, RateHeaders } from '../../contracts/protocol.ts'
import type { VendorRates } from '../../contracts/routing.ts'
import { waitMs, waitOfMs } from '../../lib/stated-wait.ts'

/** What an answer says that its vendor still takes; null: it says nothing. */
export function statedRates(
  { rateHeaders }: Protocol,
  headers: IncomingHttpHeaders,
  nowWallMs: number,
): VendorRates | null {
  if (rateHeaders === undefined) return null
  let rates: VendorRates | null = null
  for (const one of rateHeaders) {
    const remaining = countIn(headers, one.remaining)
    // Of tokens only that there are none left says something of the next call.
    if (remaining === null || (one.unit === 'tokens' && remaining > 0)) continue
    const resetMs = resetIn(headers, one, nowWallMs)
    if (resetMs === null || (rates !== null && !isTighter(remaining, resetMs, rates))) continue
    rates = { remainingRequests: remaining, resetMs }
  }
  return rates
}

/**
 * How long a refusal asks to be left alone, in milliseconds; null: it does not say. Without a word for it, what is used up
 * says when it starts anew.
 */
export function statedWait(
  protocol: Protocol,
  headers: IncomingHttpHeaders,
  nowWallMs: number,
): number | null {
  const exact = textIn(headers, 'retry-after-ms')
  const exactMs = exact === null ? null : waitOfMs(exact)
  if (exactMs !== null) return exactMs
  const after = textIn(headers, 'retry-after')
  const afterMs = after === null ? null : waitMs(after, nowWallMs)
  if (afterMs !== null) return afterMs
  const waits = (protocol.rateHeaders ?? [])
    .filter((one) => countIn(headers, one.remaining) === 0)
    .flatMap((one) => resetIn(headers, one, nowWallMs) ?? [])
  return waits.length === 0 ? null : Math.max(...waits)
}

function isTighter(remaining: number, resetMs: number, than: VendorRates): boolean {
  return (
    remaining < than.remainingRequests ||
    (remaining === than.remainingRequests && resetMs > than.resetMs)
  )
}

function countIn(headers: IncomingHttpHeaders, name: string): number | null {
  const text = headers[name]
  if (typeof text !== 'string' || !/^\d{1,15}$/.test(text)) return null
  return Number(text)
}

function resetIn(headers: IncomingHttpHeaders, one: RateHeaders, nowWallMs: number): number | null {
  const text = textIn(headers, one.reset)
  return text === null ? null : waitMs(text, nowWallMs)
}

function textIn(headers: IncomingHttpHeaders, name: string): string | null {
  const value = headers[name]
  return typeof value === 'string' ? value : null
}
