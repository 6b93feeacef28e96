import { sessionOf } from '../http/session-of.ts'
import type { RequestContext, RouteContext } from '../pipeline/request-context.ts'
import type { WarmCache } from './warm-caches.ts'

/** Where the conversation of this request is in a prompt cache; null: nowhere that is known. */
export function warmCacheOf(ctx: RouteContext): WarmCache | null {
  const session = sessionName(ctx)
  const { warmCaches, clock } = ctx.dataPlane
  return session === null ? null : warmCaches.of(session, clock.monotonicMs())
}

/** Notes what the provider said it read from its cache or wrote to it, where there was a choice. */
export function noteCache(ctx: RequestContext): void {
  const { target, usage, decision } = ctx
  if (target === null || decision === null || decision.candidates.length < 2) return
  const session = sessionName(ctx)
  if (session === null) return
  const { cacheReadTokens, cacheWrite5mTokens, cacheWrite1hTokens } = usage
  const tokens = (cacheReadTokens ?? 0) + (cacheWrite5mTokens ?? 0) + (cacheWrite1hTokens ?? 0)
  const { warmCaches, clock } = ctx.dataPlane
  warmCaches.note(session, { target: target.id, tokens }, clock.monotonicMs())
}

/** A name of a client counts for its own key only. */
function sessionName({ head, key }: RouteContext): string | null {
  const session = sessionOf(head)
  return session === null || key === null ? null : `${key.record.id} ${session}`
}
