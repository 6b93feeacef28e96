import type { ServerResponse } from 'node:http'
import { cutWhenStalled } from '../http/send.ts'
import type { RequestContext } from '../pipeline/request-context.ts'
import { refuseRequest } from '../pipeline/run-request.ts'
import { UNWATCHED, type Watched } from '../upstream/watchdog.ts'
import { replayHeaders } from './replay-headers.ts'
import type { AnswerReader, SharedAnswer } from './shared-answer.ts'

export type ClientReaderOptions = {
  readonly ctx: RequestContext
  readonly response: ServerResponse
  readonly answer: SharedAnswer
  /** Of the call that the answer was made for. */
  readonly firstRequestId: () => string
  /** Records a caller that the answer was not made for, before it gets the last bytes. */
  readonly settle: (ctx: RequestContext) => Promise<void>
  /** It has everything. */
  readonly onDone: () => void
}

/** Writes a shared answer to one client, at that client's own pace. */
export class ClientReader implements AnswerReader, Watched {
  at = 0
  blocked = false
  watchedAt: number = UNWATCHED
  /** The answer was made for this caller's own call, whose record is its own matter. */
  isFirst = false
  readonly #options: ClientReaderOptions
  readonly #joinedMs = performance.now()
  #blockedAtMs = 0
  #settling = false
  #settled = false
  #stopped = false

  constructor(options: ClientReaderOptions) {
    this.#options = options
  }

  more(): void {
    const { answer, ctx } = this.#options
    if (this.#stopped || !answer.headersSent) return
    if (answer.ended && !this.#settled && !this.isFirst) return this.#settle()
    while (!this.blocked && !this.#stopped) {
      const chunk = answer.chunk(this.at)
      if (chunk === null) return
      this.at += 1
      const isLast = answer.ended && answer.chunk(this.at) === null
      ctx.firstByteAtMs ??= performance.now()
      this.#write(chunk, isLast)
    }
  }

  destroy(): void {
    this.#options.response.destroy()
  }

  /** Writes nothing any more. */
  stop(): void {
    this.#stopped = true
    this.blocked = false
    this.#options.ctx.dataPlane.watchdog.remove(this)
  }

  /** Refuses this caller alone, in its own protocol. */
  async refuse(thrown: unknown): Promise<void> {
    const { ctx, response } = this.#options
    this.stop()
    await refuseRequest(ctx, response, thrown)
  }

  onTick(nowMs: number): void {
    const { stalledReaderMs } = this.#options.ctx.dataPlane.watchdog.silence
    if (nowMs - this.#blockedAtMs > stalledReaderMs) this.destroy()
  }

  #write(chunk: Buffer, isLast: boolean): void {
    const { response, ctx, onDone } = this.#options
    const { watchdog } = ctx.dataPlane
    if (!response.headersSent) this.#writeHead()
    if (isLast) {
      response.end(chunk)
      cutWhenStalled(response, watchdog.silence.stalledReaderMs)
      this.stop()
      return onDone()
    }
    if (response.write(chunk)) return
    this.blocked = true
    this.#blockedAtMs = watchdog.nowMs
    watchdog.add(this)
    response.once('drain', this.#onDrain)
  }

  #writeHead(): void {
    const { response, ctx, answer, firstRequestId } = this.#options
    if (this.isFirst) return void response.writeHead(answer.status, [...answer.headers])
    // Its waiting was for the provider, or for the store.
    ctx.upstreamMs = performance.now() - this.#joinedMs
    response.writeHead(answer.status, replayHeaders(ctx, answer.headers, firstRequestId()))
  }

  readonly #onDrain = (): void => {
    if (this.#stopped) return
    this.blocked = false
    this.#options.ctx.dataPlane.watchdog.remove(this)
    this.more()
    this.#options.answer.moved()
  }

  readonly #onSettled = (): void => {
    this.#settled = true
    this.more()
  }

  /** The others are not told: each of them is recorded by itself. */
  readonly #onUnsettled = async (thrown: unknown): Promise<void> => {
    await this.refuse(thrown)
    this.#options.onDone()
  }

  #settle(): void {
    if (this.#settling) return
    this.#settling = true
    const { ctx, settle } = this.#options
    settle(ctx).then(this.#onSettled, this.#onUnsettled)
  }
}
