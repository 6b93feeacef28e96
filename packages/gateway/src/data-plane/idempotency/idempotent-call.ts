import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AnswerOrigin, AnswerStore, Claim, KeptAnswer } from '../../contracts/answer-store.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import type { IdempotencyPlan } from '../../plan/gateway-plan.ts'
import { clientLeft } from '../pipeline/client-left.ts'
import type { Audience, RequestContext } from '../pipeline/request-context.ts'
import { runRequest } from '../pipeline/run-request.ts'
import { settle } from '../pipeline/settle.ts'
import { modelsOf } from '../pipeline/usage-record.ts'
import { ClientReader } from './client-reader.ts'
import { answerTooLarge, keyOfAnother, storeUnavailable } from './idempotency-errors.ts'
import { SharedAnswer } from './shared-answer.ts'

/** How often the store is asked whether another process has the answer. */
const FIRST_LOOK_MS = 20
const LONGEST_LOOK_MS = 250
const RENEWALS_PER_LEASE = 3
const NO_BODY = Buffer.alloc(0)

export type IdempotentCallOptions = {
  readonly id: string
  readonly fingerprint: string
  readonly store: AnswerStore
  readonly terms: IdempotencyPlan
  readonly onError: (error: unknown, requestId: string) => void
  /** Who comes from now on is none of its callers. */
  readonly onOver: () => void
}

/**
 * One call under an idempotency key, and everybody who waits for it: it is made once, for the first of them, or not at
 * all when its answer is kept.
 */
export class IdempotentCall implements Audience {
  readonly fingerprint: string
  readonly answer: SharedAnswer
  readonly #options: IdempotentCallOptions
  readonly #claim: { readonly id: string; readonly fingerprint: string; readonly owner: string }
  readonly #readers = new Map<RequestContext, ClientReader>()
  /** The caller for whom the call is made; null: not decided, or it was made before. */
  #first: RequestContext | null = null
  /** Of an answer that was kept. */
  #origin: AnswerOrigin | null = null
  #kept = false

  constructor(options: IdempotentCallOptions) {
    this.#options = options
    const { id, fingerprint, terms } = options
    this.fingerprint = fingerprint
    this.#claim = { id, fingerprint, owner: randomUUID() }
    this.answer = new SharedAnswer({
      maxBytes: terms.maxAnswerBytes,
      beforeEnd: () => this.#beforeEnd(),
    })
  }

  join(ctx: RequestContext, response: ServerResponse): void {
    const { answer } = this
    const reader = new ClientReader({
      ctx,
      response,
      answer,
      firstRequestId: () => this.#origin?.requestId ?? this.#first?.requestId ?? '',
      settle: (one) => this.#settle(one),
      onDone: () => this.#forget(ctx),
    })
    ctx.audience = this
    this.#readers.set(ctx, reader)
    if (this.#first !== null) {
      ctx.body = NO_BODY
      // Somebody is there again.
      this.#first.clientGone = false
    }
    answer.join(reader)
  }

  /** The call goes on as long as anybody waits for it. */
  left(ctx: RequestContext): void {
    const reader = this.#readers.get(ctx)
    if (reader === undefined) return void (ctx.clientGone = true)
    reader.stop()
    this.#forget(ctx)
    if (ctx !== this.#first) this.#recordGone(ctx)
    if (this.#readers.size > 0) return
    if (this.#first !== null) clientLeft(this.#first)
    if (this.#first?.target?.provider.onClientAbort !== 'drain') this.#options.onOver()
  }

  isEmpty(): boolean {
    return this.#readers.size === 0
  }

  /** Never rejects. */
  async run(): Promise<void> {
    try {
      const claim = await this.#claimed()
      if (claim?.kind === 'claimed') await this.#makeCall()
      else if (claim?.kind === 'kept') await this.#replay(claim.answer)
      else if (claim !== null) throw keyOfAnother()
    } catch (thrown) {
      for (const [ctx, reader] of this.#readers) {
        this.#forget(ctx)
        await reader.refuse(thrown)
      }
    } finally {
      this.#options.onOver()
    }
  }

  /** Waits while another process makes the call. Null: everybody has left. */
  async #claimed(): Promise<Exclude<Claim, { kind: 'running' }> | null> {
    const { store } = this.#options
    for (let lookMs = FIRST_LOOK_MS; ; lookMs = Math.min(LONGEST_LOOK_MS, lookMs * 2)) {
      const claim = await store.claim(this.#claim).catch((cause: unknown) => {
        throw storeUnavailable(cause)
      })
      if (claim.kind !== 'running') {
        if (this.#readers.size > 0) return claim
        if (claim.kind === 'claimed') await this.#release()
        return null
      }
      await sleep(lookMs)
      if (this.#readers.size === 0) return null
    }
  }

  async #makeCall(): Promise<void> {
    const [first, ...others] = this.#readers.keys()
    const reader = first === undefined ? undefined : this.#readers.get(first)
    if (first === undefined || reader === undefined) throw new TypeError('a call without callers')
    this.#first = first
    reader.isFirst = true
    for (const other of others) other.body = NO_BODY
    const { store } = this.#options
    const renewal = setInterval(() => {
      // What is not renewed ends, and then the answer is not kept.
      store.renew(this.#claim).catch(() => {})
    }, store.leaseMs / RENEWALS_PER_LEASE).unref()
    try {
      await runRequest(first, this.answer)
      await this.answer.closing
    } finally {
      clearInterval(renewal)
      if (!this.#kept) await this.#release()
    }
  }

  async #replay(kept: KeptAnswer): Promise<void> {
    if (kept.body === null) throw answerTooLarge()
    this.#origin = kept.origin
    this.answer.writeHead(kept.status, kept.headers)
    this.answer.end(kept.body)
    await this.answer.closing
  }

  /** Only a whole answer is given again: after anything else the same request is a new one. */
  async #beforeEnd(): Promise<void> {
    const first = this.#first
    if (first === null) return
    const { answer } = this
    const isGood = answer.status >= 200 && answer.status < 300
    if (first.outcome !== 'whole' || first.error !== null || !isGood) return this.#options.onOver()
    const { status, headers, tooLarge } = answer
    const body = tooLarge ? null : answer.bytes()
    const { store, terms, onError } = this.#options
    try {
      const kept = { status, headers, body, origin: originOf(first) }
      this.#kept = await store.keep(this.#claim, kept, terms)
    } catch (thrown) {
      // The answer is there and paid for, so it is given to those who wait.
      onError(thrown, first.requestId)
    }
  }

  async #release(): Promise<void> {
    const { store, onError } = this.#options
    await store.release(this.#claim).catch((thrown: unknown) => {
      onError(thrown, this.#first?.requestId ?? '')
    })
  }

  /** The line of the ledger for somebody who gets an answer that was made for another call. */
  #settle(ctx: RequestContext): Promise<void> {
    const first = this.#first
    ctx.status = this.answer.status
    ctx.replayOf = this.#origin ?? (first === null ? null : originOf(first))
    if (first === null || first.outcome === 'whole') ctx.outcome = 'replayed'
    else {
      ctx.outcome = 'refused'
      ctx.error = first.error
      ctx.upstreamErrorClass = first.upstreamErrorClass
    }
    return settle(ctx)
  }

  #recordGone(ctx: RequestContext): void {
    const first = this.#first
    ctx.clientGone = true
    ctx.status = 0
    ctx.outcome = 'refused'
    ctx.error = new GatewayError('cancelled', 'The client left.')
    ctx.replayOf = this.#origin ?? (first === null ? null : originOf(first))
    settle(ctx).catch((thrown: unknown) => this.#options.onError(thrown, ctx.requestId))
  }

  #forget(ctx: RequestContext): void {
    const reader = this.#readers.get(ctx)
    if (reader === undefined) return
    this.#readers.delete(ctx)
    this.answer.leave(reader)
  }
}

function originOf(ctx: RequestContext): AnswerOrigin {
  const { requestId, envelope } = ctx
  return { requestId, ...modelsOf(ctx), stream: envelope?.stream ?? false }
}
