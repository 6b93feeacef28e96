import type { Demand, LimitCharge, Refusal, ReserveResult } from '../../contracts/limit.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import type { TargetPlan } from '../../plan/gateway-plan.ts'
import { hasFallbacks, requestCharges, targetCharges } from '../limits/late-charges.ts'
import { refusalError } from '../limits/refusal-error.ts'
import { type AdmitContext, known, publicModel, type Terms } from '../pipeline/request-context.ts'
import { awaitRoom, isHeldByOthers } from './await-room.ts'
import { demandOf } from '../usage/cost.ts'
import { boundInput, largestPrompts } from '../usage/count-input.ts'

const NOTHING: Demand = {
  inputTokens: 0,
  outputTokens: 0,
  fixedCostPicoUsd: 0,
  outputPicoUsd: 0,
}

/**
 * Reserves the worst case of the request on every limit that applies, all or none.
 *
 * Refusals throw. A request whose output had to be capped goes on with `ctx.outputCap` set.
 */
export function admit(ctx: AdmitContext): void | Promise<void> {
  if (!ctx.dataPlane.recorder.healthy()) throw ledgerUnavailable()
  const terms = known(ctx.terms, 'terms')
  ctx.outputCap = policyCap(ctx, terms)
  if (!mustCount(ctx, terms)) return reserve(ctx, terms, 0)
  const rough = roughBound(ctx, terms)
  if (rough !== null) return reserve(ctx, terms, rough)
  const counted = boundInput(ctx)
  if (counted instanceof Promise) return counted.then((tokens) => reserve(ctx, terms, tokens))
  return reserve(ctx, terms, counted)
}

function ledgerUnavailable(): GatewayError {
  return new GatewayError(
    'ledger_unavailable',
    'Usage cannot be recorded now, so nothing is spent.',
    {
      details: { headers: { 'retry-after': '1' } },
    },
  )
}

/** How far every limit must be from this request's rough size before counting exactly is not worth it. */
const ROOM = 50

/**
 * The byte size as a bound of the input, where all limits have so much room that being exact would change nothing.
 *
 * Counting exactly costs a worker's time on every new text; it is left for when a limit comes near.
 */
function roughBound(ctx: AdmitContext, terms: Terms): number | null {
  const { maxInputTokens, maxCostPerRequestNanoUsd } = terms.policy
  if (maxInputTokens !== null || maxCostPerRequestNanoUsd !== null) return null
  if (terms.lateLimits.length > 0 || hasFallbacks(ctx)) return null
  const own = ctx.statedInputTokens ?? ctx.endpoint.boundInput(ctx.body)
  if (own === null) return null
  const bound = own + (largestPrompts(ctx)?.boundTokens ?? 0)
  const demand = { ...worstCase(ctx, bound * ROOM), mayLease: false }
  return ctx.dataPlane.gate.fits(requestCharges(ctx), demand) ? bound : null
}

function mustCount(ctx: AdmitContext, terms: Terms): boolean {
  if (!ctx.endpoint.billed) return false
  const { maxInputTokens, maxCostPerRequestNanoUsd } = terms.policy
  return (
    terms.hasTokenLimit ||
    terms.hasUsdLimit ||
    maxInputTokens !== null ||
    maxCostPerRequestNanoUsd !== null
  )
}

function reserve(ctx: AdmitContext, terms: Terms, inputTokens: number): void | Promise<void> {
  checkInput(terms, inputTokens)
  const counts = mustCount(ctx, terms)
  if (counts) capAssumed(ctx)
  const demand = counts ? worstCase(ctx, inputTokens) : NOTHING
  ctx.demand = capByCost(ctx, terms, demand)
  const charges = requestCharges(ctx)
  if (charges.length === 0) return
  const asked = ctx.demand
  const take = (): ReserveResult | Promise<ReserveResult> =>
    ctx.dataPlane.gate.reserve(charges, asked)
  const taken = take()
  if (!(taken instanceof Promise)) return keepOrWait(ctx, charges, taken, take)
  return taken.then((result) => keepOrWait(ctx, charges, result, take))
}

function keepOrWait(
  ctx: AdmitContext,
  charges: readonly LimitCharge[],
  result: ReserveResult,
  take: () => ReserveResult | Promise<ReserveResult>,
): void | Promise<void> {
  if (result.ok || !ctx.waitsForRoom || !isHeldByOthers(result.refusal)) {
    return keep(ctx, charges, result)
  }
  return awaitRoom(ctx, result, take).then((last) => keep(ctx, charges, last))
}

function keep(ctx: AdmitContext, charges: readonly LimitCharge[], result: ReserveResult): void {
  if (!result.ok) throw refuse(ctx, result.refusal)
  ctx.limitIds = charges.map(({ limit }) => limit.id)
  ctx.reservation = result.reservation
  if (result.reservation.excused.length > 0) tellExcused(ctx, result.reservation.excused)
  if (result.reservation.shrunk) shrinkTo(ctx, result.reservation.outputTokens)
}

/** Takes the limits of one provider and one target, for one attempt. A refusal is returned, so that another may be tried. */
export function reserveTarget(
  ctx: AdmitContext,
  target: TargetPlan,
): Refusal | null | Promise<Refusal | null> {
  if (known(ctx.terms, 'terms').lateLimits.length === 0 && !hasFallbacks(ctx)) return null
  const charges = targetCharges(ctx, target)
  if (charges.length === 0) return null
  const result = ctx.dataPlane.gate.reserve(charges, known(ctx.demand, 'demand'))
  if (result instanceof Promise) return result.then((late) => keepTarget(ctx, late))
  return keepTarget(ctx, result)
}

function keepTarget(ctx: AdmitContext, result: ReserveResult): Refusal | null {
  if (!result.ok) return result.refusal
  ctx.attemptReservation = result.reservation
  if (result.reservation.excused.length > 0) tellExcused(ctx, result.reservation.excused)
  if (result.reservation.shrunk) shrinkTo(ctx, result.reservation.outputTokens)
  return null
}

export function refuse(ctx: AdmitContext, refusal: Refusal): GatewayError {
  ctx.limitIds = [refusal.limit.id]
  const error = refusalError(refusal, ctx.dataPlane.clock.wallMs())
  ctx.dataPlane.onRefusal({
    requestId: ctx.requestId,
    keyId: known(ctx.key, 'key').record.id,
    limitId: refusal.limit.id,
    budget: error.code === 'budget_exceeded',
    mode: 'enforce',
  })
  return error
}

/** What limits would have refused that only watch. */
function tellExcused(ctx: AdmitContext, excused: readonly Refusal[]): void {
  for (const { limit } of excused) {
    ctx.dataPlane.onRefusal({
      requestId: ctx.requestId,
      keyId: known(ctx.key, 'key').record.id,
      limitId: limit.id,
      budget: limit.unit === 'usd' || limit.algorithm.kind === 'lifetime',
      mode: limit.mode,
    })
  }
}

function checkInput(terms: Terms, inputTokens: number): void {
  const { maxInputTokens } = terms.policy
  if (maxInputTokens === null || inputTokens <= maxInputTokens) return
  throw new GatewayError(
    'request_exceeds_limit',
    `The input has up to ${inputTokens} tokens; this key may send ${maxInputTokens}.`,
  )
}

/** The most that any candidate may use: whichever answers, the reservation covers it. */
function worstCase(ctx: AdmitContext, inputTokens: number): Demand {
  const { choices, maxOutputTokens, stream } = known(ctx.envelope, 'envelope')
  const model = publicModel(ctx, null)
  const mayShrink = ctx.endpoint.media !== true
  const mayLease = stream && ctx.endpoint.startLengthStop !== undefined
  let worst: Demand = { ...NOTHING, inputTokens, model, mayShrink, mayLease }
  for (const target of ctx.targets) {
    const cap = ctx.outputCap ?? maxOutputTokens ?? target.maxOutputTokens
    const demand = demandOf({ inputTokens, outputTokens: cap * choices, price: target.price })
    worst = {
      inputTokens,
      outputTokens: Math.max(worst.outputTokens, demand.outputTokens),
      fixedCostPicoUsd: Math.max(worst.fixedCostPicoUsd ?? 0, demand.fixedCostPicoUsd ?? 0),
      outputPicoUsd: Math.max(worst.outputPicoUsd, demand.outputPicoUsd),
      model,
      mayShrink,
      mayLease,
    }
  }
  return worst
}

/** Where nobody states a model's maximum, the assumed one is sent, so that it holds. */
function capAssumed(ctx: AdmitContext): void {
  const { maxOutputTokens } = known(ctx.envelope, 'envelope')
  if (ctx.outputCap !== null || maxOutputTokens !== null) return
  const assumed = ctx.targets.filter((target) => target.maxOutputAssumed)
  if (assumed.length === 0) return
  ctx.outputCap = Math.min(...assumed.map((target) => target.maxOutputTokens))
}

/** The policy's own cap, when it is tighter than the client's. */
function policyCap(ctx: AdmitContext, terms: Terms): number | null {
  const { maxOutputTokens } = terms.policy
  const { maxOutputTokens: asked } = known(ctx.envelope, 'envelope')
  if (maxOutputTokens === null || !ctx.endpoint.billed || ctx.endpoint.media === true) return null
  return asked !== null && asked <= maxOutputTokens ? null : maxOutputTokens
}

/** Lowers the output so that the worst case costs no more than one request may. */
function capByCost(ctx: AdmitContext, terms: Terms, demand: Demand): Demand {
  const most = terms.policy.maxCostPerRequestNanoUsd
  if (most === null || demand.fixedCostPicoUsd === null) return demand
  const leftPicoUsd = most * 1000 - demand.fixedCostPicoUsd
  if (leftPicoUsd >= demand.outputTokens * demand.outputPicoUsd) return demand
  const outputTokens =
    demand.outputPicoUsd === 0 ? 0 : Math.floor(leftPicoUsd / demand.outputPicoUsd)
  if (demand.mayShrink === false || outputTokens < known(ctx.envelope, 'envelope').choices) {
    throw new GatewayError(
      'request_exceeds_limit',
      'The request may cost more than this key allows.',
    )
  }
  shrinkTo(ctx, outputTokens)
  return { ...demand, outputTokens }
}

/** Caps each answer so that all of them fit; what was granted is what later reservations of this request ask for. */
function shrinkTo(ctx: AdmitContext, outputTokens: number): void {
  const { choices } = known(ctx.envelope, 'envelope')
  const cap = Math.floor(outputTokens / choices)
  if (cap === 0)
    throw new GatewayError('request_exceeds_limit', 'Too little is left for so many answers.')
  ctx.outputCap = ctx.outputCap === null ? cap : Math.min(ctx.outputCap, cap)
  if (ctx.demand !== null) ctx.demand = { ...ctx.demand, outputTokens }
}
