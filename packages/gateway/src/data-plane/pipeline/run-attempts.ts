import type { ClientAnswer } from '../http/client-answer.ts'
import type { Refusal } from '../../contracts/limit.ts'
import type { TargetBlock } from '../../contracts/routing.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import type { TargetPlan } from '../../plan/gateway-plan.ts'
import { retriesSpentError, setAsideError } from '../routing/set-aside-error.ts'
import { refuse, reserveTarget } from '../stages/admit.ts'
import type { Answer, Failure, Refused } from './attempt-results.ts'
import { beginAttempt, endAttempt, mayBeAsked } from './attempt-tickets.ts'
import { callTarget } from './call-target.ts'
import { checkClient } from './client-left.ts'
import type { RequestContext, SpareFor } from './request-context.ts'
import { hedgeAfterMs, hedged } from './hedge-attempt.ts'
import { pause, reactionTo } from './retry-attempts.ts'
import { shrinkOutput } from './shrink-output.ts'
import { hadBegun, noteSpent } from './spent-attempts.ts'

/** One request's attempts so far. */
type Run = {
  readonly response: ClientAnswer
  readonly deadlineMs: number
  readonly outputCap: number | null
  /** Only targets that stand in after this are tried. */
  rescue: SpareFor | null
  /** Target of the last attempt, if its answer had begun; null: it had not. */
  begun: TargetPlan | null
  last: GatewayError | null
  lastClass: Failure['failureClass'] | null
  /** The last refusal of an upstream that says something to the client. */
  refused: Refused | null
  /** The first limit of a target that had no room. */
  short: Refusal | null
  /** Targets that nothing may be sent to now. */
  readonly blocks: TargetBlock[]
  /** A client's retry that was one too many. */
  spent: GatewayError | null
}

/**
 * Tries the targets in order until one answers. When none does, the last refusal of an upstream is passed on; throws when
 * no upstream said anything worth passing on.
 */
export async function runAttempts(ctx: RequestContext, response: ClientAnswer): Promise<Answer> {
  const run = newRun(ctx, response)
  for (let index = 0; index < ctx.targets.length; index++) {
    const target = ctx.targets[index]
    if (target === undefined || !isCalledFor(ctx, run, target)) continue
    const afterMs = ctx.attemptCount > 0 ? null : hedgeAfterMs(ctx, target)
    const attempt = { target, index, anyway: false }
    const { outcome: result, both } =
      afterMs === null
        ? { outcome: await tryTarget(ctx, run, attempt), both: false }
        : await tryHedged(ctx, run, { ...attempt, afterMs })
    if (both) index += 1
    if (result === 'stop') {
      if (!callSpares(ctx, run)) break
    } else if (result !== 'next') return result
  }
  if (isShutOut(ctx, run)) {
    const result = await tryAnyway(ctx, run)
    if (result !== 'next' && result !== 'stop') return result
  }
  return giveUp(ctx, run)
}

/** Together with the target behind it, if there is one. */
async function tryHedged(
  ctx: RequestContext,
  run: Run,
  { afterMs, ...attempt }: Try & { readonly afterMs: number },
): Promise<{ readonly outcome: Answer | 'stop' | 'next'; readonly both: boolean }> {
  const second = ctx.targets[attempt.index + 1]
  if (second === undefined || !isCalledFor(ctx, run, second)) {
    return { outcome: await tryTarget(ctx, run, attempt), both: false }
  }
  return hedged(ctx, afterMs, {
    first: attempt.target,
    second,
    attempt: (own, target) => tryTarget(own, run, { ...attempt, target }),
  })
}

function isCalledFor({ spares }: RequestContext, run: Run, target: TargetPlan): boolean {
  return (spares?.get(target) ?? null) === run.rescue
}

/** Whether other targets stand in for what has just failed. What was put on the request for its own targets is taken off. */
function callSpares(ctx: RequestContext, run: Run): boolean {
  const { spares, decision } = ctx
  const { lastClass } = run
  if (spares === null || (lastClass !== 'content_filter' && lastClass !== 'context_overflow')) {
    return false
  }
  if (![...spares.values()].includes(lastClass)) return false
  run.rescue = lastClass
  ctx.outputCap = run.outputCap
  if (decision !== null) {
    const reason = lastClass === 'context_overflow' ? 'escalated' : 'fallback'
    ctx.decision = { ...decision, reason }
  }
  return true
}

function newRun(ctx: RequestContext, response: ClientAnswer): Run {
  let totalMs = 0
  for (const { provider } of ctx.targets) totalMs = Math.max(totalMs, provider.timeouts.totalMs)
  const deadlineMs = performance.now() + totalMs
  const [first] = ctx.targets
  return {
    response,
    deadlineMs,
    outputCap: ctx.outputCap,
    rescue: (first === undefined ? null : ctx.spares?.get(first)) ?? null,
    begun: null,
    last: null,
    lastClass: null,
    refused: null,
    short: null,
    blocks: [],
    spent: null,
  }
}

/** Nothing was sent at all, only because circuits are open. */
function isShutOut(ctx: RequestContext, { blocks, short, spent }: Run): boolean {
  if (ctx.attemptCount > 0 || short !== null || spent !== null) return false
  if (ctx.plan.health.breaker.whenAllOpen === 'refuse') return false
  return blocks.some(({ reason }) => reason === 'circuit_open')
}

/** One call of the target whose circuit would let one through first: worse than no answer it cannot be. */
function tryAnyway(ctx: RequestContext, run: Run): Promise<Answer | 'stop' | 'next'> {
  const nowMs = performance.now()
  const { targets: book } = ctx.dataPlane
  let best: TargetPlan | null = null
  let bestUntilMs = Infinity
  for (const target of ctx.targets) {
    const block = book?.blocked(target.healthId, nowMs) ?? null
    if (block?.reason === 'cooldown' || (block?.untilMs ?? 0) >= bestUntilMs) continue
    best = target
    bestUntilMs = block?.untilMs ?? 0
  }
  if (best === null) return Promise.resolve('next')
  return tryTarget(ctx, run, { target: best, index: ctx.targets.length, anyway: true })
}

type Try = { readonly target: TargetPlan; readonly index: number; readonly anyway: boolean }

/** As often as the failures allow. */
async function tryTarget(
  ctx: RequestContext,
  run: Run,
  one: Try,
): Promise<Answer | 'stop' | 'next'> {
  checkClient(ctx)
  const { target } = one
  if (!begin(ctx, run, one)) return 'next'
  const reserved = reserveTarget(ctx, target)
  const refusal = reserved instanceof Promise ? await reserved : reserved
  if (refusal !== null) {
    run.short ??= refusal
    endAttempt(ctx, 'cancelled')
    return 'next'
  }
  for (let again = 0; ; again++) {
    if (run.begun !== null) await noteSpent(ctx, run.begun)
    const result = await callTarget(ctx, target, run)
    if (!('error' in result)) return result
    note(run, result)
    run.begun = hadBegun(ctx, result.error.code) ? target : null
    if (again === 0 && (await fitsSmaller(ctx, target, result))) {
      if (!begin(ctx, run, one)) return leave(ctx, 'next')
      continue
    }
    const isLast = !hasOther(ctx, one.index)
    const reaction = reactionTo(ctx, result, { again, isLast, deadlineMs: run.deadlineMs })
    if (typeof reaction === 'string') return leave(ctx, reaction)
    if (!takeRetry(ctx, target)) return leave(ctx, 'next')
    await pause(ctx, reaction)
    if (!begin(ctx, run, one)) return leave(ctx, 'next')
  }
}

function begin(ctx: RequestContext, run: Run, { target, anyway }: Try): boolean {
  if (performance.now() >= run.deadlineMs) return false
  const block = beginAttempt(ctx, target, anyway)
  if (block !== null) {
    run.blocks.push(block)
    return false
  }
  if (mayBeAsked(ctx, target)) return true
  endAttempt(ctx, 'cancelled')
  run.spent = retriesSpentError(target.provider.name)
  return false
}

/** A context that was too small has room for a smaller output. */
function fitsSmaller(
  ctx: RequestContext,
  target: TargetPlan,
  { failureClass }: Failure,
): boolean | Promise<boolean> {
  return failureClass === 'context_overflow' && shrinkOutput(ctx, target)
}

/** What the target's own limits hold goes back. */
function leave(ctx: RequestContext, reaction: 'stop' | 'next'): 'stop' | 'next' {
  if (ctx.attemptReservation !== null) {
    ctx.dataPlane.gate.release(ctx.attemptReservation)
    ctx.attemptReservation = null
  }
  return reaction
}

function note(run: Run, { error, refused, failureClass }: Failure): void {
  run.last = error
  run.lastClass = failureClass
  run.refused = refused ?? run.refused
}

/** Whether another target may be tried after the one at this place. */
function hasOther(ctx: RequestContext, index: number): boolean {
  const nowMs = performance.now()
  for (let i = index + 1; i < ctx.targets.length; i++) {
    const target = ctx.targets[i]
    if (target === undefined || ctx.spares?.has(target) === true) continue
    if ((ctx.dataPlane.targets?.blocked(target.healthId, nowMs) ?? null) === null) return true
  }
  return false
}

function takeRetry(ctx: RequestContext, { provider }: TargetPlan): boolean {
  const asked = ctx.terms?.policy.retry !== null || ctx.plan.health.retries.maxRetries > 0
  const use = { asked, nowMs: performance.now() }
  return ctx.dataPlane.retries.take(provider.name, ctx.plan.health.retries, use)
}

/** The most useful of what there is to say. */
function giveUp(ctx: RequestContext, { last, refused, short, blocks, spent }: Run): Answer {
  if (refused !== null && last?.tryNext === true) return passOn(ctx, refused)
  if (last !== null) throw last
  if (short !== null) throw refuse(ctx, short)
  if (spent !== null) throw spent
  if (blocks.length > 0) throw setAsideError(blocks, performance.now())
  throw new GatewayError('upstream_timeout', 'No target was left within the time of the request.')
}

/** The answer, and the record of the target that gave it. */
function passOn(ctx: RequestContext, { answer, target, failureClass }: Refused): Answer {
  ctx.target = target
  ctx.upstreamErrorClass = failureClass
  ctx.outcome = 'refused'
  return answer
}
