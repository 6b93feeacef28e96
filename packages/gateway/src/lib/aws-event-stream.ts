import { crc32 } from 'node:zlib'
import type { FrameHandler } from './sse-frames.ts'

/** Total length, length of the headers, and a checksum of these two. */
const PRELUDE_BYTES = 12
const CHECKSUM_BYTES = 4
const STRING_TYPE = 7
/** Bytes of a header's value by its type; types 6 and 7 carry their own length. */
const VALUE_BYTES: readonly number[] = [0, 0, 1, 2, 4, 8, -1, -1, 8, 16]

/**
 * Cuts a byte stream into frames of AWS's event stream: length, headers, payload, each part under a checksum.
 *
 * Linear time: a byte is copied at most twice, however small the chunks are. Hot: runs for every chunk of a stream.
 *
 * @see https://smithy.io/2.0/aws/amazon-eventstream.html (from general knowledge)
 */
export class AwsEventSplitter {
  /** Why nothing more is read; null: all is well. */
  problem: string | null = null
  private held: Buffer[] = []
  private heldBytes = 0
  /** How many bytes make the next step possible: a prelude, then the frame that it announces. */
  private neededBytes = PRELUDE_BYTES
  private readonly maxFrameBytes: number

  constructor(maxFrameBytes: number) {
    this.maxFrameBytes = maxFrameBytes
  }

  /** Calls `onFrame` for each frame that `chunk` completes. False: a frame is larger than allowed, or broken. */
  push(chunk: Buffer, onFrame: FrameHandler): boolean {
    if (this.problem !== null) return false
    this.held.push(chunk)
    this.heldBytes += chunk.length
    if (this.heldBytes < this.neededBytes) return true
    const bytes = this.take()
    let at = 0
    for (;;) {
      const end = this.frameEnd(bytes, at)
      if (end === null) break
      onFrame(bytes, at, end)
      at = end
    }
    if (at < bytes.length) {
      this.held.push(at === 0 ? bytes : bytes.subarray(at))
      this.heldBytes = bytes.length - at
    }
    return this.problem === null
  }

  /** What is left after the last whole frame; empty when there is nothing. */
  rest(): Buffer {
    return this.take()
  }

  /** A frame has begun that is not whole yet. */
  get holdsPart(): boolean {
    return this.heldBytes > 0
  }

  private take(): Buffer {
    const [first] = this.held
    const bytes = this.held.length === 1 && first !== undefined ? first : Buffer.concat(this.held)
    this.held = []
    this.heldBytes = 0
    return bytes
  }

  /** Where the frame at `at` ends; null when it is not whole yet, or broken. */
  private frameEnd(bytes: Buffer, at: number): number | null {
    this.neededBytes = PRELUDE_BYTES
    if (bytes.length - at < PRELUDE_BYTES) return null
    const total = bytes.readUInt32BE(at)
    if (crc32(bytes.subarray(at, at + 8)) !== bytes.readUInt32BE(at + 8)) {
      return this.fail('a frame whose head does not match its checksum')
    }
    if (total > this.maxFrameBytes) return this.fail(`a frame of ${total} bytes`)
    const headers = bytes.readUInt32BE(at + 4)
    if (total < PRELUDE_BYTES + headers + CHECKSUM_BYTES) return this.fail('a frame of no length')
    this.neededBytes = total
    if (bytes.length - at < total) return null
    const end = at + total
    const body = bytes.subarray(at, end - CHECKSUM_BYTES)
    if (crc32(body) !== bytes.readUInt32BE(end - CHECKSUM_BYTES)) {
      return this.fail('a frame that does not match its checksum')
    }
    return end
  }

  private fail(problem: string): null {
    this.problem = problem
    return null
  }
}

/** One frame, read. `name`: of the event, or of the exception that ends the stream. */
export type AwsEvent = {
  readonly kind: 'event' | 'exception'
  readonly name: string
  /** JSON text; for an error without a payload its message. */
  readonly data: string
}

/** Reads one frame. Null when the bytes are not exactly one. */
export function parseAwsEvent(bytes: Buffer, start: number, end: number): AwsEvent | null {
  const sizeBytes = end - start
  if (sizeBytes < PRELUDE_BYTES + CHECKSUM_BYTES) return null
  if (bytes.readUInt32BE(start) !== sizeBytes) return null
  const payloadStart = start + PRELUDE_BYTES + bytes.readUInt32BE(start + 4)
  const payloadEnd = end - CHECKSUM_BYTES
  if (payloadStart > payloadEnd) return null
  const headers = readHeaders(bytes, start + PRELUDE_BYTES, payloadStart)
  const data = bytes.toString('utf8', payloadStart, payloadEnd)
  const type = headers.get(':message-type')
  if (type === 'exception') {
    return { kind: 'exception', name: headers.get(':exception-type') ?? '', data }
  }
  if (type === 'error') {
    const message = headers.get(':error-message') ?? ''
    return { kind: 'exception', name: headers.get(':error-code') ?? '', data: message }
  }
  return { kind: 'event', name: headers.get(':event-type') ?? '', data }
}

/** Headers whose value is a text. */
function readHeaders(bytes: Buffer, start: number, end: number): ReadonlyMap<string, string> {
  const headers = new Map<string, string>()
  let at = start
  while (at < end) {
    const nameEnd = at + 1 + (bytes[at] ?? 0)
    const type = bytes[nameEnd] ?? -1
    const fixed = VALUE_BYTES[type]
    const ownLength = fixed === -1
    const valueStart = nameEnd + 1 + (ownLength ? 2 : 0)
    if (fixed === undefined || valueStart > end) break
    const valueEnd = valueStart + (ownLength ? bytes.readUInt16BE(nameEnd + 1) : fixed)
    if (valueEnd > end) break
    if (type === STRING_TYPE) {
      headers.set(
        bytes.toString('latin1', at + 1, nameEnd),
        bytes.toString('utf8', valueStart, valueEnd),
      )
    }
    at = valueEnd
  }
  return headers
}

/** One frame with text headers. */
export function writeAwsEvent(headers: Readonly<Record<string, string>>, payload: string): Buffer {
  const parts: Buffer[] = []
  for (const name in headers) {
    const value = Buffer.from(headers[name] ?? '')
    const head = Buffer.from([name.length, ...Buffer.from(name, 'latin1'), STRING_TYPE, 0, 0])
    head.writeUInt16BE(value.length, head.length - 2)
    parts.push(head, value)
  }
  const head = Buffer.concat(parts)
  const body = Buffer.from(payload)
  const frame = Buffer.alloc(PRELUDE_BYTES + head.length + body.length + CHECKSUM_BYTES)
  frame.writeUInt32BE(frame.length, 0)
  frame.writeUInt32BE(head.length, 4)
  frame.writeUInt32BE(crc32(frame.subarray(0, 8)), 8)
  head.copy(frame, PRELUDE_BYTES)
  body.copy(frame, PRELUDE_BYTES + head.length)
  frame.writeUInt32BE(crc32(frame.subarray(0, frame.length - CHECKSUM_BYTES)), frame.length - 4)
  return frame
}
