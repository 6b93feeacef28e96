import type { AnswerStore, Claim, ClaimedCall, KeptAnswer } from '../contracts/answer-store.ts'

export type MemoryAnswers = AnswerStore & {
  readonly kept: Map<string, { readonly fingerprint: string; readonly answer: KeptAnswer }>
  readonly claims: Map<string, ClaimedCall>
  /** What the next call of the store rejects with; null: nothing. */
  failure: Error | null
}

/** A store that ends with its test. */
export function memoryAnswers(): MemoryAnswers {
  const kept: MemoryAnswers['kept'] = new Map()
  const claims: MemoryAnswers['claims'] = new Map()
  const check = (): void => {
    if (answers.failure !== null) throw answers.failure
  }
  const answers: MemoryAnswers = {
    kept,
    claims,
    failure: null,
    leaseMs: 10_000,
    async claim(call): Promise<Claim> {
      check()
      const found = kept.get(call.id)
      const held = claims.get(call.id)
      const fingerprint = found?.fingerprint ?? held?.fingerprint ?? call.fingerprint
      if (fingerprint !== call.fingerprint) return { kind: 'other' }
      if (found !== undefined) return { kind: 'kept', answer: found.answer }
      if (held !== undefined) return { kind: 'running' }
      claims.set(call.id, call)
      return { kind: 'claimed' }
    },
    renew: async ({ id, owner }) => claims.get(id)?.owner === owner,
    async keep({ id, fingerprint }, answer) {
      check()
      claims.delete(id)
      kept.set(id, { fingerprint, answer })
      return true
    },
    async release({ id, owner }) {
      if (claims.get(id)?.owner === owner) claims.delete(id)
    },
    prune: async () => 0,
  }
  return answers
}
