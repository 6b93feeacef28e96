import type { AttemptRecord } from '../../contracts/usage-record.ts'
import type { RequestContext } from '../pipeline/request-context.ts'
import { FAILURE_REWARD } from './reward.ts'

/** Ends of an attempt that say nothing of its target. */
const NOT_JUDGED: ReadonlySet<string> = new Set([
  'client',
  'content_filter',
  'context_overflow',
  'cancelled',
  'internal',
])

/**
 * Tells the bandit how each attempt went, the failed ones too, and returns the rewards in the order of the attempts; null
 * for one that says nothing of its target. Null altogether: the bandit did not choose.
 */
export function learn(ctx: RequestContext): readonly (number | null)[] | null {
  const { decision, dataPlane } = ctx
  if (decision?.arm === undefined) return null
  const { arm: context } = decision
  const among: string[] = []
  for (const { target, draw } of decision.candidates) if (draw !== undefined) among.push(target)
  const nowMs = dataPlane.clock.wallMs()
  return ctx.attempts.map((attempt) => {
    const { target } = attempt
    const reward = among.includes(target) ? rewardOf(ctx, attempt, among) : null
    if (reward !== null) dataPlane.bandit.observe({ target, among, context, reward }, nowMs)
    return reward
  })
}

function rewardOf(
  ctx: RequestContext,
  { target, errorClass, durationMs }: AttemptRecord,
  among: readonly string[],
): number | null {
  if (errorClass !== null) return NOT_JUDGED.has(errorClass) ? null : FAILURE_REWARD
  if (ctx.clientGone || ctx.decision?.arm === undefined) return null
  if (ctx.outcome !== 'whole' && ctx.relay?.stoppedAtLength !== true) return FAILURE_REWARD
  const stream = ctx.relay !== null
  const latencyMs =
    stream && ctx.firstByteAtMs !== null ? ctx.firstByteAtMs - ctx.attemptStartedMs : durationMs
  const { costNanoUsd } = ctx
  const call = { target, context: ctx.decision.arm, stream, latencyMs, costNanoUsd }
  return ctx.dataPlane.rewards.ofSuccess(call, among)
}
