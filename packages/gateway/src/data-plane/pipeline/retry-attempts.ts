import type { FailureClass } from '../../contracts/provider.ts'
import type { Failure } from './attempt-results.ts'
import { checkClient } from './client-left.ts'
import type { RequestContext } from './request-context.ts'

/** The longest first pause; each further one may be twice as long. Milliseconds. */
const FIRST_PAUSE_MS = 200
/** A provider that asks for more gets no second attempt: the next target's turn comes sooner. */
const MAX_PAUSE_MS = 10_000
/** How often a pause looks whether the client is still there. */
const LOOK_MS = 50

/** `next`: the next target at once. `again`: the same one, and then the next. */
const REACTIONS: Readonly<Record<FailureClass, 'stop' | 'next' | 'again'>> = {
  client: 'stop',
  content_filter: 'stop',
  context_overflow: 'stop',
  auth: 'next',
  quota: 'next',
  rate_limited: 'next',
  overloaded: 'next',
  transient: 'again',
  timeout: 'again',
}
/** What a wait cures, where nothing else is left to try. */
const PASSING: ReadonlySet<string> = new Set<FailureClass>(['rate_limited', 'overloaded'])

/** What follows a failed attempt. A number: the same target again, after so many milliseconds. */
export type Reaction = 'stop' | 'next' | number

export type AttemptPlace = {
  /** How often this target has been asked again. */
  readonly again: number
  /** No other target may be tried after this one. */
  readonly isLast: boolean
  /** Monotonic. */
  readonly deadlineMs: number
}

/** See docs/reference/routing.md, "Attempts". */
export function reactionTo(ctx: RequestContext, failure: Failure, place: AttemptPlace): Reaction {
  const { error, refused, failureClass } = failure
  if (failureClass === 'cancelled') return error.tryNext ? 'next' : 'stop'
  const policy = ctx.terms?.policy.retry ?? null
  const mayAgain = place.again < retriesOf(ctx)
  if (refused !== null && policy !== null && policy.retryOn !== null) {
    if (!policy.retryOn.has(refused.answer.status)) return 'stop'
    return mayAgain ? pauseFor(failure, place) : 'next'
  }
  const reaction = REACTIONS[failureClass]
  if (reaction === 'stop') return 'stop'
  const cured = reaction === 'again' || (place.isLast && PASSING.has(failureClass))
  return cured && mayAgain ? pauseFor(failure, place) : 'next'
}

/** A connection that the provider had closed just before says nothing of the provider. */
function retriesOf(ctx: RequestContext): number {
  const { retry } = ctx.terms?.policy ?? { retry: null }
  const most = retry?.maxRetries ?? ctx.plan.health.retries.maxRetries
  return ctx.call?.metClosedConnection === true ? Math.max(1, most) : most
}

/** Exponential, with full jitter; or as long as the upstream asks. `next`: longer than anybody waits here. */
function pauseFor({ waitMs }: Failure, { again, deadlineMs }: AttemptPlace): Reaction {
  const mostMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** again)
  const pauseMs = waitMs ?? Math.random() * mostMs
  if (pauseMs > MAX_PAUSE_MS || performance.now() + pauseMs >= deadlineMs) return 'next'
  return pauseMs
}

/** The wait is the provider's, not the gateway's own time. Throws `cancelled` when the client leaves. */
export async function pause(ctx: RequestContext, ms: number): Promise<void> {
  const startedMs = performance.now()
  for (let left = ms; left > 0; left = ms - (performance.now() - startedMs)) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(left, LOOK_MS)))
    checkClient(ctx)
  }
  ctx.upstreamMs += performance.now() - startedMs
}
