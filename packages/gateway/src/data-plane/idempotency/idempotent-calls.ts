import type { ServerResponse } from 'node:http'
import type { AnswerStore } from '../../contracts/answer-store.ts'
import { checkClient } from '../pipeline/client-left.ts'
import { known, type RequestContext } from '../pipeline/request-context.ts'
import { refuseRequest } from '../pipeline/run-request.ts'
import { answerTooLarge, keyOfAnother } from './idempotency-errors.ts'
import { entryId, fingerprintOf } from './idempotency-key.ts'
import { IdempotentCall } from './idempotent-call.ts'

/** Makes each call under an idempotency key once: the calls of this process that are under way, before the store. */
export class IdempotentCalls {
  readonly #store: AnswerStore
  readonly #calls = new Map<string, IdempotentCall>()

  constructor(store: AnswerStore) {
    this.#store = store
  }

  /** `ctx` is authenticated and has its body. Never rejects. */
  async serve(ctx: RequestContext, response: ServerResponse, key: string): Promise<void> {
    try {
      checkClient(ctx)
      const id = entryId(ctx, key)
      const fingerprint = fingerprintOf(ctx)
      const call = this.#calls.get(id)
      if (call === undefined) return await this.#begin(ctx, response, { id, fingerprint })
      if (call.fingerprint !== fingerprint) throw keyOfAnother()
      if (call.answer.tooLarge) throw answerTooLarge()
      call.join(ctx, response)
    } catch (thrown) {
      await refuseRequest(ctx, response, thrown)
    }
  }

  #begin(
    ctx: RequestContext,
    response: ServerResponse,
    { id, fingerprint }: { readonly id: string; readonly fingerprint: string },
  ): Promise<void> {
    const call: IdempotentCall = new IdempotentCall({
      id,
      fingerprint,
      store: this.#store,
      terms: known(ctx.plan.idempotency, 'idempotency'),
      onError: ctx.dataPlane.onError,
      onOver: () => {
        if (this.#calls.get(id) === call) this.#calls.delete(id)
      },
    })
    this.#calls.set(id, call)
    call.join(ctx, response)
    return call.run()
  }
}
