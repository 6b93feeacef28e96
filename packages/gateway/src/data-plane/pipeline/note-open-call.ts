import type { OpenCall } from '../../contracts/open-calls.ts'
import { demandedAmount } from '../limits/amounts.ts'
import type { Sending } from '../upstream/upstream-call.ts'
import { known, publicModel, type RequestContext } from './request-context.ts'

/**
 * Writes down what the request holds of durable counters, just before a provider is called: a process that does not live
 * to record the call leaves its reservation to the next. Throws or rejects with `ledger_unavailable`.
 */
export function noteOpenCall(ctx: RequestContext): void | Promise<void> {
  const { openCalls } = ctx.dataPlane
  const { reservation, attemptReservation: attempt, noted } = ctx
  if (openCalls === null || (reservation === null && attempt === null)) return
  // A further attempt holds the same, unless targets are charged too.
  if (noted !== null && noted.attempt === attempt) return
  const { durable } = openCalls
  const charges = reservation === null ? [] : [...durable.held(reservation)]
  if (attempt !== null) charges.push(...durable.held(attempt))
  if (ctx.hedgeReservation !== null) charges.push(...durable.held(ctx.hedgeReservation))
  if (charges.length === 0 && noted === null) return
  ctx.noted = { attempt }
  return openCalls.calls.note(openCall(ctx, charges))
}

/** What the journal has to know of an attempt's way to the provider, also of one whose sibling was noted. */
export function sendingNote({ dataPlane, requestId }: RequestContext): Sending | null {
  const { openCalls } = dataPlane
  if (openCalls === null) return null
  const { calls } = openCalls
  return { waits: () => calls.waits(requestId), sends: () => calls.sends(requestId) }
}

/** Writes down again what a stream holds, because it is more than before. What cannot be written is reported only. */
export function noteExtended(ctx: RequestContext): void {
  if (ctx.noted === null) return
  ctx.noted = null
  const failed = (thrown: unknown): void => ctx.dataPlane.onError(thrown, ctx.requestId)
  try {
    const noted = noteOpenCall(ctx)
    if (noted instanceof Promise) noted.catch(failed)
  } catch (thrown) {
    failed(thrown)
  }
}

/** What is reserved of the output: of a lease, what it holds so far. */
function reservedOutput({ reservation, attemptReservation, demand }: RequestContext): number {
  const held = [reservation, attemptReservation].flatMap((one) => one?.heldTokens ?? [])
  return Math.min(known(demand, 'demand').outputTokens, ...held)
}

function openCall(ctx: RequestContext, charges: OpenCall['charges']): OpenCall {
  const target = known(ctx.target, 'target')
  const { model, stream } = known(ctx.envelope, 'envelope')
  const { inputTokens } = known(ctx.demand, 'demand')
  const outputTokens = reservedOutput(ctx)
  return {
    requestId: ctx.requestId,
    startedAtMs: ctx.startedAtMs,
    keyId: known(ctx.key, 'key').record.id,
    endpoint: ctx.endpoint.endpoint,
    protocol: ctx.protocol.id,
    stream,
    requestedModel: model,
    model: publicModel(ctx, target),
    provider: target.provider.name,
    target: target.id,
    inputTokens,
    outputTokens,
    costNanoUsd: worstCost(ctx, outputTokens),
    charges,
  }
}

function worstCost(ctx: RequestContext, outputTokens: number): number | null {
  const demand = known(ctx.demand, 'demand')
  if (!ctx.endpoint.billed) return 0
  const unpriced = demand.fixedCostPicoUsd === null || ctx.target?.price === null
  return unpriced ? null : demandedAmount('usd', demand, outputTokens)
}
