import type { HeldCharge } from './durable-charge.ts'

/** A call whose outcome is not recorded yet: what its usage record will say if this process does not live to write it. */
export type OpenCall = {
  readonly requestId: string
  readonly startedAtMs: number
  readonly keyId: string
  readonly endpoint: string
  readonly protocol: string
  readonly stream: boolean
  readonly requestedModel: string
  readonly model: string
  readonly provider: string
  readonly target: string
  /** The worst case that was reserved. */
  readonly inputTokens: number
  readonly outputTokens: number
  /** Null: unpriced. */
  readonly costNanoUsd: number | null
  readonly charges: readonly HeldCharge[]
}

/** One that a former process left. Nothing of a call that is not `sent` has reached a provider. */
export type LeftCall = OpenCall & { readonly sent: boolean }

/**
 * The calls that hold durable money and have no record yet, where the next process finds them.
 *
 * A note is in the operating system's hands when its promise resolves. `note` throws or rejects with `ledger_unavailable`. A
 * second note of one request replaces the first.
 */
export type OpenCalls = {
  note(call: OpenCall): Promise<void>
  /** It waits for a connection. Of no effect when an attempt of it was sent before. */
  waits(requestId: string): void
  /** Its first byte is about to be sent: from now on it is charged. Throws `ledger_unavailable`. */
  sends(requestId: string): void
  /** The request's record is committed. */
  done(requestId: string): void
}
