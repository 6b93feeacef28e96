/**
 * Cuts a byte stream into SSE frames without changing, decoding or copying more than it must.
 *
 * A frame ends with a blank line; lines end with `\n`, `\r\n` or `\r`, also mixed and also across chunks.
 * Linear time: every byte is looked at once. Hot: runs for every chunk of a stream.
 */
const LF = 0x0a
const CR = 0x0d

export type FrameHandler = (bytes: Buffer, start: number, end: number) => void

export class SseFrameSplitter {
  private held: Buffer[] = []
  private heldBytes = 0
  /** The byte before the one at hand ended a line, so one more line end makes a blank line. */
  private atLineStart = true
  /** A frame just ended with `\r`; a `\n` that follows still belongs to it. */
  private afterCarriageReturn = false
  private readonly maxFrameBytes: number

  constructor(maxFrameBytes: number) {
    this.maxFrameBytes = maxFrameBytes
  }

  /** Calls `onFrame` for each frame that `chunk` completes. False: the frame at hand is larger than allowed. */
  push(chunk: Buffer, onFrame: FrameHandler): boolean {
    const { length } = chunk
    let start = 0
    let at = 0
    let lf = indexOrEnd(chunk, LF, 0)
    let cr = indexOrEnd(chunk, CR, 0)
    while (at < length) {
      if (lf < at) lf = indexOrEnd(chunk, LF, at)
      if (cr < at) cr = indexOrEnd(chunk, CR, at)
      const lineEnd = lf < cr ? lf : cr
      if (lineEnd > at) {
        this.atLineStart = false
        this.afterCarriageReturn = false
        at = lineEnd
        continue
      }
      at++
      if (lineEnd === lf && this.afterCarriageReturn) {
        this.afterCarriageReturn = false
        continue
      }
      this.afterCarriageReturn = lineEnd === cr
      if (!this.atLineStart) {
        this.atLineStart = true
        continue
      }
      if (this.afterCarriageReturn && chunk[at] === LF) {
        at++
        this.afterCarriageReturn = false
      }
      this.emit(chunk, start, at, onFrame)
      start = at
    }
    return this.hold(chunk, start)
  }

  /** What is left after the last whole frame; empty when there is nothing. */
  rest(): Buffer {
    const rest = this.held.length === 1 ? this.held[0] : Buffer.concat(this.held)
    this.held = []
    this.heldBytes = 0
    return rest ?? Buffer.alloc(0)
  }

  /** A frame has begun that is not whole yet. */
  get holdsPart(): boolean {
    return this.heldBytes > 0
  }

  private emit(chunk: Buffer, start: number, end: number, onFrame: FrameHandler): void {
    if (this.heldBytes === 0) return onFrame(chunk, start, end)
    this.held.push(chunk.subarray(start, end))
    const frame = Buffer.concat(this.held)
    this.held = []
    this.heldBytes = 0
    onFrame(frame, 0, frame.length)
  }

  private hold(chunk: Buffer, start: number): boolean {
    if (start < chunk.length) {
      this.held.push(chunk.subarray(start))
      this.heldBytes += chunk.length - start
    }
    return this.heldBytes <= this.maxFrameBytes
  }
}

/** Native search; each byte of a chunk is searched once per line-end kind. */
function indexOrEnd(chunk: Buffer, byte: number, from: number): number {
  const index = chunk.indexOf(byte, from)
  return index === -1 ? chunk.length : index
}

/** The fields of one frame by the WHATWG rules; null when it carries no data. */
export type SseEvent = { readonly name: string; readonly data: string }

/** Decodes one frame. Not hot: taps call it only for frames that they need to read. */
export function parseSseFrame(bytes: Buffer, start: number, end: number): SseEvent | null {
  const text = bytes.toString('utf8', start, end)
  let name = ''
  let data: string | null = null
  for (const line of text.split(/\r\n|\n|\r/)) {
    const colon = line.indexOf(':')
    if (colon === 0) continue
    const field = (colon === -1 ? line : line.slice(0, colon)).replace(/^\uFEFF/, '')
    let value = colon === -1 ? '' : line.slice(colon + 1)
    if (value.startsWith(' ')) value = value.slice(1)
    if (field === 'event') name = value
    else if (field === 'data') data = data === null ? value : `${data}\n${value}`
  }
  return data === null ? null : { name: name === '' ? 'message' : name, data }
}
