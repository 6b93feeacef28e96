import type { Actual, LimitCharge, Refusal, Reservation } from '../../contracts/limit.ts'
import type { Protocol } from '../../contracts/protocol.ts'
import { totalInputTokens, type Usage } from '../../contracts/usage.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import type { Clock } from '../../lib/clock.ts'
import type { GatewayPlan, KeyPlan, TargetPlan } from '../../plan/gateway-plan.ts'
import { demandedAmount } from '../limits/amounts.ts'
import { createMemoryGate } from '../limits/memory-gate.ts'
import { asOpenReservation } from '../limits/open-reservation.ts'
import {
  type AdmitContext,
  type AdmitScope,
  known,
  publicModel,
} from '../pipeline/request-context.ts'
import { Rotations } from '../routing/rotations.ts'
import { ThompsonBandit } from '../routing/thompson-bandit.ts'
import { WarmCaches } from '../routing/warm-caches.ts'
import { admit, refuse, reserveTarget } from '../stages/admit.ts'
import { authorize } from '../stages/authenticate.ts'
import { refusedKey } from '../stages/wrong-keys.ts'
import { isHeldByOthers } from '../stages/await-room.ts'
import { resolveRoute } from '../stages/resolve-route.ts'
import { costNanoUsd } from '../usage/cost.ts'
import { EndQueue } from './end-queue.ts'
import type { PastRequest } from './past-request.ts'
import { requestRefusal } from './request-refusal.ts'
import { stateRequest, unsentContext } from './unsent-request.ts'

/** What a request came to in one lane. */
export type LaneOutcome =
  | {
      readonly kind: 'admitted'
      readonly target: string
      readonly model: string
      /** Null: unpriced, or nobody knows what it would have used. */
      readonly costNanoUsd: number | null
      /** The answer would have been cut at the cap. */
      readonly shrunk: boolean
    }
  | { readonly kind: 'refused'; readonly code: string; readonly limit: string | null }

export type LaneOptions = {
  readonly plan: GatewayPlan
  /** Null: the key cannot be used. */
  readonly keyOf: (id: string) => KeyPlan | null
  readonly protocols: readonly Protocol[]
  readonly startMs: number
}

type Settled = (outcome: LaneOutcome) => void
type Open = {
  readonly atMs: number
  readonly held: readonly Reservation[]
  readonly actual: Actual | null
}
type Waiter = { readonly past: PastRequest; readonly untilMs: number; readonly done: Settled }

/** As requests wait; see stages/await-room.ts. */
const WAIT_MS = 10_000
const MOST_WAITING = 200
const NEEDS = { tools: false, vision: false, audio: false, documents: false, json_schema: false }

/** One way of ruling, in virtual time: the real stages on a gate of its own, and calls that end when their records say. */
export class ReplayLane {
  readonly #options: LaneOptions
  readonly #scope: AdmitScope
  readonly #gate: ReturnType<typeof createMemoryGate>
  readonly #open = new EndQueue<Open>()
  /** By the counter that stands in the way. */
  readonly #waiting = new Map<string, Waiter[]>()
  #waiters = 0
  #nowMs: number

  constructor(options: LaneOptions) {
    this.#options = options
    this.#nowMs = options.startMs
    const { plan, protocols } = options
    const clock: Clock = { monotonicMs: () => this.#nowMs, wallMs: () => this.#nowMs }
    this.#gate = createMemoryGate({ clock, onAlert: () => {} })
    this.#scope = {
      protocols,
      plan: () => plan,
      gate: this.#gate,
      tokenCounter: { count: uncounted, close: async () => {} },
      targets: null,
      bandit: new ThompsonBandit(() => plan.routing.forgetting),
      warmCaches: new WarmCaches(),
      rotations: new Rotations(),
      clock,
      recorder: { healthy: () => true, record: async () => {} },
      onRefusal: () => {},
    }
  }

  /** When something happens next: a call ends, or one has waited long enough. Infinity: never. */
  nextMs(): number {
    return Math.min(this.#open.nextMs(), this.#deadlineMs())
  }

  /** The one thing that happens next. Time goes on to it. */
  step(): void {
    const deadlineMs = this.#deadlineMs()
    if (this.#open.nextMs() <= deadlineMs) this.#endOne()
    else this.#giveUp(deadlineMs)
  }

  /** A request begins now. `done` is called when it is known what becomes of it: at once, or after a wait. */
  begin(past: PastRequest, done: Settled): void {
    this.#nowMs = Math.max(this.#nowMs, past.record.startedAtMs)
    const short = this.#attempt(past, done)
    if (short === null) return
    if (this.#waiters >= MOST_WAITING || !isHeldByOthers(short.refusal)) return done(short.outcome)
    this.#wait(short.refusal, { past, untilMs: this.#nowMs + WAIT_MS, done })
  }

  #deadlineMs(): number {
    let earliest = Infinity
    for (const [first] of this.#waiting.values()) {
      if (first !== undefined) earliest = Math.min(earliest, first.untilMs)
    }
    return earliest
  }

  #endOne(): void {
    const call = this.#open.take()
    if (call === undefined) return
    this.#nowMs = Math.max(this.#nowMs, call.atMs)
    const freed = new Set<string>()
    for (const reservation of call.held) {
      for (const { counter } of asOpenReservation(reservation).holds) freed.add(counter.key)
      if (call.actual === null) this.#gate.release(reservation)
      else this.#gate.settle(reservation, call.actual)
    }
    if (this.#waiters === 0) return
    for (const key of freed) this.#admitWaiting(key)
  }

  #admitWaiting(key: string): void {
    for (;;) {
      const [first] = this.#waiting.get(key) ?? []
      if (first === undefined) return
      const short = this.#attempt(first.past, first.done)
      if (short !== null && keyOf(short.refusal) === key) return
      this.#leave(key)
      if (short === null) continue
      if (isHeldByOthers(short.refusal)) this.#wait(short.refusal, first)
      else first.done(short.outcome)
    }
  }

  /** What refills by itself may have made room meanwhile. */
  #giveUp(deadlineMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, deadlineMs)
    for (const [key, [first]] of this.#waiting) {
      if (first === undefined || first.untilMs > deadlineMs) continue
      this.#leave(key)
      const short = this.#attempt(first.past, first.done)
      if (short !== null) first.done(short.outcome)
      return
    }
  }

  #wait(refusal: Refusal, waiter: Waiter): void {
    const key = keyOf(refusal)
    const queue = this.#waiting.get(key)
    if (queue === undefined) this.#waiting.set(key, [waiter])
    else queue.push(waiter)
    this.#waiters += 1
  }

  #leave(key: string): void {
    const queue = this.#waiting.get(key)
    queue?.shift()
    if (queue?.length === 0) this.#waiting.delete(key)
    this.#waiters -= 1
  }

  /** Null: it is decided. Else which limit has no room. */
  #attempt(
    past: PastRequest,
    done: Settled,
  ): { readonly refusal: Refusal; readonly outcome: LaneOutcome } | null {
    const ctx = this.#contextOf(past)
    try {
      const target = this.#admit(ctx, past)
      done(this.#opened(ctx, past, target))
      return null
    } catch (thrown) {
      if (!(thrown instanceof GatewayError)) throw thrown
      const outcome = refusedBy(thrown)
      this.#release(ctx)
      const refusal = outcome.limit === null ? null : requestRefusal(ctx, this.#gate)
      if (refusal !== null) return { refusal, outcome }
      done(outcome)
      return null
    }
  }

  #admit(ctx: AdmitContext, past: PastRequest): TargetPlan | null {
    const key = this.#options.keyOf(past.keyId)
    if (key === null) throw refusedKey()
    ctx.key = key
    authorize(key, past.endpoint.endpoint, ctx.clientIp)
    stateRequest(ctx, {
      model: past.model,
      stream: past.record.stream,
      inputTokens: past.inputTokens,
      maxOutputTokens: past.maxOutputTokens,
      needs: NEEDS,
    })
    atOnce(resolveRoute(ctx))
    atOnce(admit(ctx))
    return ctx.countsHere ? null : firstWithRoom(ctx)
  }

  #release(ctx: AdmitContext): void {
    if (ctx.reservation !== null) this.#gate.release(ctx.reservation)
  }

  #opened(ctx: AdmitContext, past: PastRequest, target: TargetPlan | null): LaneOutcome {
    const { usage, shrunk } = within(past.usage, ctx.outputCap)
    const cost = costOf(past, usage, target)
    const held = [ctx.reservation, ctx.attemptReservation].filter((one) => one !== null)
    if (held.length > 0) {
      const actual = actualOf(ctx, past, { usage, cost })
      this.#open.add({ atMs: this.#nowMs + past.lastedMs, held, actual })
    }
    const model = publicModel(ctx, target)
    return { kind: 'admitted', target: target?.id ?? 'tollgate', model, costNanoUsd: cost, shrunk }
  }

  #contextOf(past: PastRequest): AdmitContext {
    const { record, protocol, endpoint } = past
    const { sessionId, clientIp } = record
    return unsentContext(this.#scope, {
      served: { protocol, endpoint, pathModel: undefined, wrapper: null },
      path: endpoint.path,
      query: '',
      fields: sessionId === null ? [] : ['x-session-id', sessionId],
      clientIp: clientIp ?? '',
      requestId: record.requestId,
    })
  }
}

/** Sizes are told, so nothing has to be counted. */
function uncounted(): never {
  throw new TypeError('a replay counts no tokens')
}

function atOnce(result: void | Promise<void>): void {
  if (result instanceof Promise) throw new TypeError('a replay waits for nothing')
}

function keyOf({ limit, value }: Refusal): LimitCharge['counterKey'] {
  return `${limit.id}|${limit.scope}|${value}`
}

function firstWithRoom(ctx: AdmitContext): TargetPlan {
  let short: Refusal | null = null
  for (const target of ctx.targets) {
    const refusal = reserveTarget(ctx, target)
    if (refusal instanceof Promise) throw new TypeError('a replay waits for nothing')
    if (refusal === null) return target
    short ??= refusal
  }
  throw refuse(ctx, known(short, 'a refusal'))
}

function refusedBy({ code, details }: GatewayError): Extract<LaneOutcome, { kind: 'refused' }> {
  const id = details.limit?.['id']
  return { kind: 'refused', code, limit: typeof id === 'string' ? id : null }
}

/** What a cap would have left of the answer. */
function within(
  usage: Usage,
  cap: number | null,
): { readonly usage: Usage; readonly shrunk: boolean } {
  const { outputTokens, reasoningTokens } = usage
  if (cap === null || outputTokens === null || outputTokens <= cap) return { usage, shrunk: false }
  const reasoning = reasoningTokens === null ? null : Math.min(reasoningTokens, cap)
  return { usage: { ...usage, outputTokens: cap, reasoningTokens: reasoning }, shrunk: true }
}

function costOf(past: PastRequest, usage: Usage, target: TargetPlan | null): number | null {
  if (!past.endpoint.billed || past.kind === 'failed') return 0
  if (past.kind === 'unknown' || target === null || target.price === null) return null
  return costNanoUsd(usage, target.price)
}

/** What nobody knows is charged as it was reserved. Null: nothing was generated. */
function actualOf(
  ctx: AdmitContext,
  past: PastRequest,
  { usage, cost }: { readonly usage: Usage; readonly cost: number | null },
): Actual | null {
  if (past.kind === 'failed') return null
  if (past.kind === 'spent') {
    const outputTokens = usage.outputTokens ?? 0
    return { inputTokens: totalInputTokens(usage), outputTokens, costNanoUsd: cost ?? 0 }
  }
  const demand = known(ctx.demand, 'demand')
  const { inputTokens, outputTokens } = demand
  return { inputTokens, outputTokens, costNanoUsd: demandedAmount('usd', demand, outputTokens) }
}
