import type { TargetPlan } from '../../plan/gateway-plan.ts'
import { requestCharges } from '../limits/late-charges.ts'
import type { Answer } from './attempt-results.ts'
import { known, type RequestContext } from './request-context.ts'
import { noteSpent } from './spent-attempts.ts'

type Outcome = Answer | 'stop' | 'next'

/** One of two attempts that run at the same time: what it writes of the request is its own until it has won. */
type Arm = { readonly ctx: RequestContext; readonly target: TargetPlan; readonly startedMs: number }

export type HedgeOptions = {
  readonly first: TargetPlan
  readonly second: TargetPlan
  readonly attempt: (ctx: RequestContext, target: TargetPlan) => Promise<Outcome>
}

/** Not reserved twice: they count calls, and this stays one. */
const COUNTED_ONCE: ReadonlySet<string> = new Set(['requests', 'concurrent'])

/** How long the first attempt may be alone, in milliseconds; null: it stays alone. */
export function hedgeAfterMs(ctx: RequestContext, { healthId }: TargetPlan): number | null {
  const hedge = ctx.terms?.policy.hedge ?? null
  if (hedge === null || !ctx.endpoint.billed || ctx.endpoint.media === true) return null
  return hedge.afterMs ?? ctx.dataPlane.targets?.slowLatencyMs(healthId) ?? null
}

/**
 * Asks a second target when the first has not begun to answer after a while. The first byte decides; the other call is ended,
 * and its input is paid.
 */
export async function hedged(
  ctx: RequestContext,
  afterMs: number,
  { first, second, attempt }: HedgeOptions,
): Promise<{ readonly outcome: Outcome; readonly both: boolean }> {
  const one = newArm(ctx, first)
  const arms = [one]
  ctx.arms = arms.map((arm) => arm.ctx)
  one.ctx.claim = () => decide(arms, one)
  const running = attempt(one.ctx, first)
  if ((await isSlow(running, afterMs)) && (await mayHedge(ctx, second))) {
    const two = newArm(ctx, second)
    two.ctx.attemptCount = 1
    arms.push(two)
    ctx.arms = arms.map((arm) => arm.ctx)
    two.ctx.claim = () => decide(arms, two)
    return { outcome: await race(ctx, [one, two], [running, attempt(two.ctx, second)]), both: true }
  }
  try {
    return { outcome: await running, both: false }
  } finally {
    adopt(ctx, one, one)
  }
}

function newArm(ctx: RequestContext, target: TargetPlan): Arm {
  const own: RequestContext = Object.create(ctx)
  return { ctx: own, target, startedMs: performance.now() }
}

async function isSlow(running: Promise<unknown>, afterMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const slow = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(true), afterMs)
  })
  const done = running.then(
    () => false,
    () => false,
  )
  const late = await Promise.race([done, slow])
  clearTimeout(timer)
  return late
}

/** Within the retry budget, and with room for a second input in every limit. */
async function mayHedge(ctx: RequestContext, { provider, healthId }: TargetPlan): Promise<boolean> {
  const { gate, retries } = ctx.dataPlane
  const nowMs = performance.now()
  const blocked = ctx.dataPlane.targets?.blocked(healthId, nowMs) ?? null
  if (ctx.clientGone || blocked !== null) return false
  if (!retries.take(provider.name, ctx.plan.health.retries, { asked: true, nowMs })) return false
  const charges = requestCharges(ctx).filter(({ limit }) => !COUNTED_ONCE.has(limit.unit))
  if (charges.length === 0) return true
  const demand = { ...known(ctx.demand, 'demand'), mayShrink: false, mayLease: false }
  const taken = await gate.reserve(charges, demand)
  if (!taken.ok) return false
  ctx.hedgeReservation = taken.reservation
  return true
}

/** The first that answers; when none does, what the last one came to. */
async function race(
  ctx: RequestContext,
  [one, two]: readonly [Arm, Arm],
  running: readonly [Promise<Outcome>, Promise<Outcome>],
): Promise<Outcome> {
  const ends = running.map(async (end, index): Promise<Outcome> => {
    try {
      const outcome = await end
      // A whole answer decides when it is in; a stream has done so before.
      if (typeof outcome === 'object') (index === 0 ? one : two).ctx.claim?.()
      return outcome
    } catch (thrown) {
      if (ctx.clientGone) throw thrown
      return 'next'
    }
  })
  const settled = await Promise.allSettled(ends)
  const at = settled.findIndex((end) => end.status === 'fulfilled' && typeof end.value === 'object')
  const winner = at === 0 ? one : two
  adopt(ctx, winner, one)
  const loser = winner === one ? two : one
  if (at !== -1 && loser.ctx.call !== null) await noteSpent(ctx, loser.target)
  const end = settled[at === -1 ? 1 : at]
  if (end?.status === 'rejected') throw end.reason
  return end?.value ?? 'next'
}

/** From now on the others are cancelled. Called before the first byte is written, so that only one writes. */
function decide(arms: readonly Arm[], winner: Arm): void {
  for (const arm of arms) {
    arm.ctx.claim = null
    if (arm === winner) continue
    arm.ctx.clientGone = true
    arm.ctx.relay?.giveUp()
    arm.ctx.call?.abort()
  }
}

/** What the winner wrote becomes the request's. */
function adopt(ctx: RequestContext, { ctx: own, target, startedMs }: Arm, first: Arm): void {
  const gone = ctx.clientGone
  Object.assign(ctx, own, { arms: null, claim: null, clientGone: gone })
  ctx.attemptCount = ctx.attempts.length
  ctx.upstreamMs += startedMs - first.startedMs
  // A stream's attempt is the last one of the record.
  const at = ctx.attempts.findIndex((one) => one.target === target.id && one.errorClass === null)
  if (at !== -1) ctx.attempts.push(...ctx.attempts.splice(at, 1))
}
