/** Where a kept answer came from: what the record of each further caller says of it. */
export type AnswerOrigin = {
  /** Of the call that was made. */
  readonly requestId: string
  readonly requestedModel: string | null
  readonly model: string | null
  readonly servedModel: string | null
  readonly provider: string | null
  readonly target: string | null
  readonly stream: boolean
}

/** An answer to be given again, byte for byte. */
export type KeptAnswer = {
  readonly status: number
  /** Names and values in turn, as the first caller got them. */
  readonly headers: readonly string[]
  /** Null: it was too large to be kept; that it was given is known all the same. */
  readonly body: Buffer | null
  readonly origin: AnswerOrigin
}

/**
 * What became of a claim.
 *
 * - `claimed`: the caller makes the call. `running`: somebody else makes it.
 * - `other`: the id stands for another request. `kept`: it was answered.
 */
export type Claim =
  | { readonly kind: 'claimed' }
  | { readonly kind: 'running' }
  | { readonly kind: 'other' }
  | { readonly kind: 'kept'; readonly answer: KeptAnswer }

/** One call under an idempotency key. `fingerprint`: of the whole request; `owner`: a name that no other claim has. */
export type ClaimedCall = {
  readonly id: string
  readonly fingerprint: string
  readonly owner: string
}

/** How long and how much is kept. When there is more, the oldest answers go first. */
export type KeepTerms = {
  readonly ttlMs: number
  readonly maxBytes: number
  readonly maxEntries: number
}

/**
 * Answers under idempotency keys. Every member passes testing/answer-store-contract.ts.
 *
 * All calls reject when the store cannot be asked.
 */
export type AnswerStore = {
  /** How long a claim holds without being renewed. Ms. */
  readonly leaseMs: number
  claim(call: ClaimedCall): Promise<Claim>
  /** False: the claim has ended, and another one may hold. */
  renew(call: ClaimedCall): Promise<boolean>
  /** Resolves when the answer survives the end of this process; false: the claim is another's by now. */
  keep(call: ClaimedCall, answer: KeptAnswer, terms: KeepTerms): Promise<boolean>
  /** Gives the claim up, so that the same request is made anew. */
  release(call: ClaimedCall): Promise<void>
  /** Deletes what is out of date; returns how many. */
  prune(): Promise<number>
}
