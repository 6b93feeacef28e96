/**
 * Why a store could not be opened or written.
 *
 * - `busy`: another process holds it longer than we wait. `served`: another process serves it; the message names its pid.
 * - `full`: no space left. `readonly`: may be read, not written. `unreadable`: cannot be opened.
 * - `corrupt`: pages or header are damaged. `foreign`: a database, but not ours. `newer`: written by a newer schema.
 * - `away`: a database server cannot be reached, or does not answer.
 * - `duplicate`: a row with this identity exists. `failed`: anything else.
 */
export type StoreErrorReason =
  | 'busy'
  | 'served'
  | 'full'
  | 'readonly'
  | 'unreadable'
  | 'corrupt'
  | 'foreign'
  | 'newer'
  | 'away'
  | 'duplicate'
  | 'failed'

/** For operators, not for clients of the API: the message may name paths. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly reason: StoreErrorReason

  constructor(reason: StoreErrorReason, message: string, options: { cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.reason = reason
  }
}
