import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type {
  AnswerOrigin,
  AnswerStore,
  ClaimedCall,
  KeepTerms,
  KeptAnswer,
} from '../contracts/answer-store.ts'

export type AnswerStoreUnderTest = {
  readonly name: string
  /** An empty store; `another`: of another process, where it can have one of its own. */
  fresh(): Promise<{
    readonly store: AnswerStore
    readonly another: AnswerStore
    /** As if the time of a claim were over. Null: this is tested by itself. */
    readonly expire: ((id: string) => Promise<void>) | null
    close(): Promise<void>
  }>
}

const ORIGIN: AnswerOrigin = {
  requestId: 'req_first',
  requestedModel: 'gpt',
  model: 'gpt',
  servedModel: 'gpt-2026',
  provider: 'up',
  target: 'up/gpt',
  stream: false,
}
const TERMS: KeepTerms = { ttlMs: 60_000, maxBytes: 1_000_000, maxEntries: 100 }

function answerOf(body: Buffer | null): KeptAnswer {
  return { status: 200, headers: ['content-type', 'text/plain', 'x-é', 'ü'], body, origin: ORIGIN }
}

let owners = 0

function callOf(id: string, fingerprint = 'same'): ClaimedCall {
  owners += 1
  return { id, fingerprint, owner: `owner-${owners}` }
}

export function answerStoreContract(subject: AnswerStoreUnderTest): void {
  describe(`${subject.name}: answer store contract`, () => {
    let opened: Awaited<ReturnType<AnswerStoreUnderTest['fresh']>>
    let store: AnswerStore

    beforeEach(async () => {
      opened = await subject.fresh()
      store = opened.store
    })
    afterEach(() => opened.close())

    const keep = async (id: string, body: Buffer | null, terms = TERMS): Promise<void> => {
      const call = callOf(id)
      expect(await store.claim(call)).toEqual({ kind: 'claimed' })
      expect(await store.keep(call, answerOf(body), terms)).toBe(true)
    }
    const kindOf = async (id: string, fingerprint?: string): Promise<string> =>
      (await store.claim(callOf(id, fingerprint))).kind

    it('gives back every byte and the rest of an answer', async () => {
      const body = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
      await keep('a', body)
      const claim = await store.claim(callOf('a'))
      expect(claim).toEqual({ kind: 'kept', answer: answerOf(body) })
    })

    it('knows an answer that was too large from an empty one', async () => {
      await keep('large', null)
      await keep('empty', Buffer.alloc(0))
      expect(await store.claim(callOf('large'))).toMatchObject({ answer: { body: null } })
      expect(await store.claim(callOf('empty'))).toMatchObject({
        answer: { body: Buffer.alloc(0) },
      })
    })

    it('tells another request under the same id', async () => {
      await keep('a', Buffer.from('x'))
      expect(await kindOf('a', 'different')).toBe('other')
      expect(await kindOf('b', 'different')).toBe('claimed')
    })

    it('forgets an answer when its time is over', async () => {
      await keep('a', Buffer.from('x'), { ...TERMS, ttlMs: 20 })
      await vi.waitFor(async () => expect(await kindOf('a', 'different')).toBe('claimed'))
      await keep('b', Buffer.from('x'), { ...TERMS, ttlMs: 1 })
      await vi.waitFor(async () => {
        await store.prune()
        expect(await kindOf('b', 'different')).toBe('claimed')
      })
    })

    it('keeps the newest answers within the bytes that are allowed', async () => {
      const terms = { ...TERMS, maxBytes: 20_000 }
      for (let i = 0; i < 30; i++) await keep(`a${i}`, Buffer.alloc(4000, 1), terms)
      const kinds = await Promise.all(Array.from({ length: 30 }, (_, i) => kindOf(`a${i}`)))
      const kept = kinds.filter((kind) => kind === 'kept').length
      expect(kinds.at(-1)).toBe('kept')
      expect(kinds[0]).toBe('claimed')
      expect(kept).toBeGreaterThan(0)
      expect(kept * 4000).toBeLessThanOrEqual(20_000)
    })

    it('keeps one answer although it is larger than all that is allowed', async () => {
      await keep('a', Buffer.alloc(4000), { ...TERMS, maxBytes: 100 })
      expect(await kindOf('a')).toBe('kept')
    })

    it('can be claimed again once it was given up', async () => {
      const call = callOf('a')
      await store.claim(call)
      await store.release(call)
      expect(await kindOf('a', 'different')).toBe('claimed')
    })

    it('does not give up an answer', async () => {
      await keep('a', Buffer.from('x'))
      await store.release(callOf('a'))
      expect(await kindOf('a')).toBe('kept')
    })

    it('lets one of many at once make the call, and tells the others that it runs', async () => {
      const { another } = opened
      const claims = await Promise.all(
        Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? store : another).claim(callOf('a'))),
      )
      const claimed = claims.filter(({ kind }) => kind === 'claimed')
      expect(claimed).toHaveLength(1)
      expect(claims.filter(({ kind }) => kind === 'running')).toHaveLength(19)
      expect((await another.claim(callOf('a', 'different'))).kind).toBe('other')
    })

    it('holds a claim while it is renewed, and ends it when its owner is gone', async () => {
      if (opened.expire === null) return
      const call = callOf('a')
      await store.claim(call)
      expect(await store.renew(call)).toBe(true)
      expect(await store.renew({ ...call, owner: 'nobody' })).toBe(false)
      await opened.expire('a')
      const next = callOf('a', 'different')
      expect(await opened.another.claim(next)).toEqual({ kind: 'claimed' })
      expect(await store.renew(call)).toBe(false)
      expect(await store.keep(call, answerOf(Buffer.from('late')), TERMS)).toBe(false)
      await store.release(call)
      expect(await opened.another.keep(next, answerOf(Buffer.from('own')), TERMS)).toBe(true)
      expect(await store.claim(callOf('a', 'different'))).toMatchObject({
        answer: { body: Buffer.from('own') },
      })
    })

    it('gives an answer to another process', async () => {
      await keep('a', Buffer.from('x'))
      expect((await opened.another.claim(callOf('a'))).kind).toBe('kept')
    })
  })
}
