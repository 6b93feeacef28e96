import type { Actual, Demand } from '../../contracts/limit.ts'
import { totalInputTokens, type Usage } from '../../contracts/usage.ts'
import { demandedAmount } from '../limits/amounts.ts'
import { noteCache } from '../routing/conversation-cache.ts'
import { learn } from '../routing/learn.ts'
import { costNanoUsd } from '../usage/cost.ts'
import { estimateInput, estimateOutput } from '../usage/count-input.ts'
import type { RequestContext } from './request-context.ts'
import { addSpentBefore } from './spent-attempts.ts'
import { modelsOf, usageRecord } from './usage-record.ts'

/**
 * Every way out of a request ends here, exactly once: usage, cost, limits, record.
 *
 * Resolves when the ledger has committed the record; the client gets its last byte after that. Rejects with
 * `ledger_unavailable`.
 */
export function settle(ctx: RequestContext): Promise<void> {
  if (ctx.settled) return SETTLED
  ctx.settled = true
  const spent = ctx.outcome === 'whole' || ctx.outcome === 'cut'
  const isSettled = !spent || !ctx.endpoint.billed || ctx.endpoint.media === true
  if (isSettled || usageIsKnown(ctx)) return close(ctx, spent)
  return completeUsage(ctx)
    .catch(noCount(ctx))
    .then(() => close(ctx, spent))
}

const SETTLED = Promise.resolve()

function close(ctx: RequestContext, spent: boolean): Promise<void> {
  ctx.costNanoUsd = spent ? costOf(ctx) : 0
  addSpentBefore(ctx)
  settleLimits(ctx, spent || ctx.spentBefore !== null)
  ctx.rewards = learn(ctx)
  noteCache(ctx)
  return ctx.dataPlane.recorder.record(usageRecord(ctx))
}

function actualOf(ctx: RequestContext): Actual {
  return {
    inputTokens: totalInputTokens(ctx.usage),
    outputTokens: ctx.usage.outputTokens ?? 0,
    costNanoUsd: ctx.costNanoUsd ?? 0,
  }
}

/** What nobody told is charged as it was reserved: unknown is never free. */
function atWorst(demand: Demand | null): Actual {
  if (demand === null) return { inputTokens: 0, outputTokens: 0, costNanoUsd: 0 }
  const { inputTokens, outputTokens } = demand
  return { inputTokens, outputTokens, costNanoUsd: demandedAmount('usd', demand, outputTokens) }
}

function usageIsKnown({ usage }: RequestContext): boolean {
  return usage.outputTokens !== null && inputIsKnown(usage)
}

function inputIsKnown({ inputTokens, cacheReadTokens }: Usage): boolean {
  return inputTokens !== null || cacheReadTokens !== null
}

/** The provider's own numbers are the truth; what it did not say is counted here and marked. */
async function completeUsage(ctx: RequestContext): Promise<void> {
  const { inputTokens, outputTokens } = ctx.usage
  const inputKnown = inputIsKnown(ctx.usage)
  ctx.estimated = true
  if (ctx.outcome === 'whole') tellNoUsage(ctx)
  ctx.usage = {
    ...ctx.usage,
    inputTokens: inputKnown ? inputTokens : await estimateInput(ctx),
    outputTokens: outputTokens ?? (await estimateOutput(ctx)),
  }
}

function tellNoUsage(ctx: RequestContext): void {
  const { provider, model, target } = modelsOf(ctx)
  if (target !== null) ctx.dataPlane.onNoUsage({ provider, model, target })
}

/** A counter that fails must not keep the limits from being settled. */
function noCount(ctx: RequestContext): (thrown: unknown) => void {
  return (thrown) => ctx.dataPlane.onError(thrown, ctx.requestId)
}

function costOf(ctx: RequestContext): number | null {
  if (!ctx.endpoint.billed) return 0
  const price = isUnknowable(ctx) ? null : (ctx.target?.price ?? null)
  return price === null ? null : costNanoUsd(ctx.usage, price)
}

/** Images and sound whose usage the provider did not report. */
function isUnknowable(ctx: RequestContext): boolean {
  return ctx.endpoint.media === true && !usageIsKnown(ctx)
}

function settleLimits(ctx: RequestContext, spent: boolean): void {
  const { gate } = ctx.dataPlane
  const { reservation, attemptReservation } = ctx
  if (ctx.hedgeReservation !== null) gate.release(ctx.hedgeReservation)
  if (reservation === null && attemptReservation === null) return
  const actual = isUnknowable(ctx) ? atWorst(ctx.demand) : actualOf(ctx)
  for (const open of [reservation, attemptReservation]) {
    if (open === null) continue
    if (spent) gate.settle(open, actual)
    else gate.release(open)
  }
  if (spent) ctx.charges = chargesOf(ctx)
}

function chargesOf(ctx: RequestContext): RequestContext['charges'] {
  const { openCalls } = ctx.dataPlane
  if (openCalls === null) return ctx.charges
  const { reservation, attemptReservation } = ctx
  const charges = reservation === null ? [] : openCalls.durable.settled(reservation)
  if (attemptReservation === null) return charges
  return [...charges, ...openCalls.durable.settled(attemptReservation)]
}
