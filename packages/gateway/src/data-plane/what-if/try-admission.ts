import type {
  CounterView,
  Demand,
  Gate,
  LimitCharge,
  ProcessGate,
  Refusal,
} from '../../contracts/limit.ts'
import type { RouteDecision } from '../../contracts/routing.ts'
import { type GatewayError, toGatewayError } from '../../errors/gateway-error.ts'
import { aheadOf } from '../../lib/clock.ts'
import type { KeyPlan, TargetPlan } from '../../plan/gateway-plan.ts'
import { requestCharges, targetCharges } from '../limits/late-charges.ts'
import { asOpenReservation } from '../limits/open-reservation.ts'
import type { DataPlane } from '../pipeline/data-plane.ts'
import { readEnvelope } from '../pipeline/read-envelope.ts'
import {
  type AdmitContext,
  type AdmitScope,
  known,
  publicModel,
  type RouteScope,
} from '../pipeline/request-context.ts'
import { admit, refuse, reserveTarget } from '../stages/admit.ts'
import { authorize } from '../stages/authenticate.ts'
import { refusedKey } from '../stages/wrong-keys.ts'
import { isHeldByOthers } from '../stages/await-room.ts'
import { readHints } from '../stages/read-hints.ts'
import { resolveRoute } from '../stages/resolve-route.ts'
import { bridgeFor, refuseLosses, translateRequest } from '../translation/translate-request.ts'
import { requestRefusal } from './request-refusal.ts'
import {
  stateRequest,
  type StatedRequest,
  unsentContext,
  type UnsentRequest,
} from './unsent-request.ts'

export type TryScope = Omit<RouteScope, 'gate'> & {
  readonly gate: Pick<Gate, 'fork'>
  readonly recorder: Pick<DataPlane['recorder'], 'healthy'>
}

/** A request that is not sent. */
export type TriedRequest = UnsentRequest & {
  readonly key: KeyPlan
  /** False: it is revoked, disabled, expired or overdue. */
  readonly keyIsUsable: boolean
  /** In the endpoint's own words; or what is told of it. */
  readonly content: Buffer | StatedRequest
  /** So long from now. */
  readonly aheadMs: number
}

/** A limit that the request came to. `before`: null where nothing was counted yet. */
export type TriedCharge = {
  readonly charge: LimitCharge
  readonly before: CounterView | null
  /** The worst case that was asked for. */
  readonly demand: Demand
  /** What is held of it, in the limit's unit; null: nothing, because the request was refused. */
  readonly held: number | null
}

export type TriedAdmission = {
  /** Null: it would be sent. */
  readonly error: GatewayError | null
  /** As the client would see it; 200 where it would be sent. */
  readonly status: number
  /** Why a limit said no. */
  readonly refusal: Refusal | null
  /** Only what calls in flight hold stands in the way: a request would wait a moment for it. */
  readonly wouldWait: boolean
  /** The model that was asked for; null: it was not read. */
  readonly requested: string | null
  /** The public model that would answer; null: nobody. */
  readonly model: string | null
  /** Null: none; the gateway would answer itself, or refuse. */
  readonly target: TargetPlan | null
  /** In the order of the attempts. */
  readonly targets: readonly TargetPlan[]
  readonly decision: RouteDecision | null
  readonly outputCap: number | null
  readonly demand: Demand | null
  readonly charges: readonly TriedCharge[]
  /** The protocol that the provider would be spoken to in, and what that cannot carry; null: bytes pass. */
  readonly translation: { readonly protocol: string; readonly losses: readonly string[] } | null
}

/**
 * A whole admission without a trace: the real stages, on a gate of its own that begins where the real one stands. Nobody's
 * turn is taken, no circuit gets its trial, the bandit learns nothing, nothing is waited for, told or recorded.
 */
export async function tryAdmission(
  scope: TryScope,
  request: TriedRequest,
): Promise<TriedAdmission> {
  const { aheadMs } = request
  const present = await scope.gate.fork(aheadMs)
  const gate = present.fork(0)
  const ctx = contextOf({ ...scope, gate, clock: aheadOf(scope.clock, aheadMs) }, request)
  const tried: Tried = { ctx, present, gate, target: null, refusal: null, translation: null }
  try {
    await runStages(tried, request)
    return outcomeOf(tried, null)
  } catch (thrown) {
    const error = toGatewayError(thrown)
    if (error.code === 'internal') throw thrown
    return outcomeOf(tried, error)
  }
}

type IsolatedScope = RouteScope & Pick<TryScope, 'recorder'>

type Tried = {
  readonly ctx: AdmitContext
  readonly present: ProcessGate
  readonly gate: ProcessGate
  target: TargetPlan | null
  refusal: Refusal | null
  translation: TriedAdmission['translation']
}

async function runStages(tried: Tried, request: TriedRequest): Promise<void> {
  const { ctx } = tried
  const { key, content } = request
  if (!request.keyIsUsable) throw refusedKey()
  authorize(key, ctx.endpoint.endpoint, ctx.clientIp)
  if (Buffer.isBuffer(content)) {
    ctx.body = content
    ctx.envelope = readEnvelope(ctx)
  } else stateRequest(ctx, content)
  readHints(ctx)
  await resolveRoute(ctx)
  if (ctx.adoptedLosses.length > 0) refuseLosses(ctx, ctx.adoptedLosses)
  await admit(ctx)
  if (!ctx.countsHere) await chooseTarget(tried)
}

/** The first target whose own limits have room, and that can be told the request. */
async function chooseTarget(tried: Tried): Promise<void> {
  const { ctx } = tried
  let last: GatewayError | null = null
  for (const target of ctx.targets) {
    const refusal = await reserveTarget(ctx, target)
    if (refusal !== null) {
      tried.refusal ??= refusal
      continue
    }
    try {
      tried.translation = translationFor(ctx, target)
      tried.target = target
      tried.refusal = null
      return
    } catch (thrown) {
      const error = toGatewayError(thrown)
      if (!error.tryNext) throw thrown
      last = error
      if (ctx.attemptReservation !== null) ctx.dataPlane.gate.release(ctx.attemptReservation)
      ctx.attemptReservation = null
    }
  }
  if (last !== null) throw last
  throw refuse(ctx, known(tried.refusal, 'refusal'))
}

/** Sizes alone are said in any protocol. */
function translationFor(ctx: AdmitContext, target: TargetPlan): TriedAdmission['translation'] {
  const bridge = bridgeFor(ctx, target.provider)
  if (bridge === null) return null
  if (ctx.statedInputTokens !== null) return { protocol: bridge.id, losses: [] }
  const { losses } = translateRequest(ctx, target, { bridge, edits: [] })
  return { protocol: bridge.id, losses }
}

function contextOf(scope: IsolatedScope, request: TriedRequest): AdmitContext {
  const dataPlane: AdmitScope = {
    ...scope,
    rotations: scope.rotations.copy(),
    recorder: { healthy: () => scope.recorder.healthy(), record: () => Promise.resolve() },
    onRefusal: () => {},
  }
  const ctx = unsentContext(dataPlane, request)
  ctx.key = request.key
  return ctx
}

function outcomeOf(tried: Tried, error: GatewayError | null): TriedAdmission {
  const { ctx, gate, target, translation } = tried
  const refusal = tried.refusal ?? requestRefusal(ctx, gate)
  return {
    error,
    status: error === null ? 200 : ctx.protocol.renderError(error, ctx.requestId).status,
    refusal,
    wouldWait: error !== null && refusal !== null && isHeldByOthers(refusal),
    requested: ctx.envelope?.model ?? null,
    model: ctx.envelope === null || ctx.terms === null ? null : publicModel(ctx, target),
    target,
    targets: ctx.targets,
    decision: ctx.decision,
    outputCap: ctx.outputCap,
    demand: ctx.demand,
    charges: chargesOf(tried),
    translation,
  }
}

function chargesOf({ ctx, present, target }: Tried): readonly TriedCharge[] {
  const { demand: last } = ctx
  if (last === null) return []
  const first = target ?? ctx.targets[0] ?? null
  const parts = [
    { charges: requestCharges(ctx), open: ctx.reservation },
    { charges: first === null ? [] : targetCharges(ctx, first), open: ctx.attemptReservation },
  ]
  const seen = new Set<string>()
  return parts.flatMap(({ charges, open }) => {
    const reservation = open === null ? null : asOpenReservation(open)
    const demand = reservation?.demand ?? last
    // Counters follow a changed limit when they are next asked for; this asks, and takes nothing.
    present.fits(charges, demand)
    const views = present.list()
    return charges.flatMap((charge): readonly TriedCharge[] => {
      const { limit, value, counterKey } = charge
      if (seen.has(counterKey)) return []
      seen.add(counterKey)
      const before = views.find(
        (one) => one.id === limit.id && one.scope === limit.scope && one.value === value,
      )
      const hold = reservation?.holds.find(({ counter }) => counter.key === counterKey)
      return [{ charge, before: before ?? null, demand, held: hold?.amount ?? null }]
    })
  })
}
