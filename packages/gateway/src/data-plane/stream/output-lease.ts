import type { RequestGate, Reservation } from '../../contracts/limit.ts'
import type { LengthStop, SseFrame, StreamTap } from '../../contracts/protocol.ts'

/** How far ahead of the stream a gate that answers later is asked. Tokens. */
const AHEAD_OF_ANSWER = 64
/** Frames of more text than this hold several tokens. Bytes, on average. */
const ONE_TOKEN_BYTES = 8
const BYTES_PER_TOKEN = 4
const FIRST_MEASURE = 8

export type OutputLeaseOptions = {
  readonly gate: RequestGate
  /** Those that hold less than was granted. */
  readonly reservations: readonly Reservation[]
  /** Null: the client's stream is written here, and its writer can end it. */
  readonly lengthStop: LengthStop | null
  /** More is held than before. */
  readonly onExtended: () => void
}

/**
 * Keeps what a stream holds of its limits ahead of what it writes.
 *
 * Output is counted in frames, as one token each, or by how much text a frame carries where that is more; what was really
 * used is known and settled at the end. Hot: `isSpent` runs for every frame, and is one comparison for most.
 */
export class OutputLease {
  readonly lengthStop: LengthStop | null
  private readonly gate: RequestGate
  private readonly onExtended: () => void
  private readonly reservations: readonly Reservation[]
  private held: number
  /** All that the stream may write: once that is held, nothing is left to do. */
  private readonly granted: number
  private tokensPerFrame = 1
  private measureAt = FIRST_MEASURE
  /** Up to this frame nothing has to be done. */
  private quietUntil = 0
  private ahead = 1
  private asking = false
  /** What was answered late, last: no more can be had. */
  private denied = false

  constructor({ gate, reservations, lengthStop, onExtended }: OutputLeaseOptions) {
    this.onExtended = onExtended
    this.gate = gate
    this.reservations = reservations
    this.lengthStop = lengthStop
    this.granted = Math.min(...reservations.map((one) => one.outputTokens))
    this.held = this.heldByAll()
    this.quietUntil = this.nextLook()
  }

  /** True: the stream has used up what it holds, and no more can be had. */
  isSpent(tap: StreamTap): boolean {
    const frames = tap.outputFrames()
    if (frames < this.quietUntil) return false
    if (frames >= this.measureAt) this.measure(tap, frames)
    const seen = Math.ceil(frames * this.tokensPerFrame)
    if (this.denied && !this.asking && this.isShort(seen)) return true
    if (seen + this.ahead > this.held && !this.asking) this.extend(seen + this.ahead)
    this.quietUntil = this.nextLook()
    return !this.asking && this.isShort(seen)
  }

  private isShort(seen: number): boolean {
    return seen >= this.held && this.held < this.granted
  }

  follow(frame: SseFrame): void {
    this.lengthStop?.readFrame(frame)
  }

  private extend(wanted: number): void {
    const late: Promise<number>[] = []
    let held = Infinity
    for (const reservation of this.reservations) {
      const answer = this.gate.extend(reservation, wanted)
      if (answer instanceof Promise) late.push(answer)
      else held = Math.min(held, answer)
    }
    if (late.length === 0) this.hold(held)
    else void this.await(late, held)
  }

  private hold(tokens: number): void {
    const isMore = tokens > this.held
    this.held = tokens
    if (isMore) this.onExtended()
  }

  /** Meanwhile the stream goes on: it was asked for ahead. */
  private async await(late: readonly Promise<number>[], held: number): Promise<void> {
    this.asking = true
    this.ahead = AHEAD_OF_ANSWER
    const answers = await Promise.allSettled(late)
    // A gate that fails holds what it held.
    const failed = answers.some(({ status }) => status === 'rejected')
    const told = answers.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    const before = this.held
    if (!failed) this.hold(Math.min(held, ...told))
    this.denied = this.held <= before
    this.asking = false
    this.quietUntil = 0
  }

  /** Twice as many frames later again, so that all the measuring costs no more than reading the text a few times. */
  private measure(tap: StreamTap, frames: number): void {
    this.measureAt = frames * 2
    const bytes = Buffer.byteLength(tap.outputText()) / frames
    this.tokensPerFrame = bytes > ONE_TOKEN_BYTES ? bytes / BYTES_PER_TOKEN : 1
  }

  private nextLook(): number {
    if (this.held >= this.granted) return Infinity
    const soon = Math.floor((this.held - this.ahead) / this.tokensPerFrame)
    return Math.min(soon, this.measureAt)
  }

  private heldByAll(): number {
    return Math.min(...this.reservations.map((one) => one.heldTokens ?? one.outputTokens))
  }
}
