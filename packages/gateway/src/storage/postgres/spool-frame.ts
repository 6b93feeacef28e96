import { crc32 } from 'node:zlib'

/** What is written at once: records and the counters that go with them. */
export type Frame = {
  readonly lines: readonly string[]
  /** Keys and states in turn. */
  readonly counters: readonly string[]
  readonly atMs: number
}

/** Where a whole frame stands in its file. */
export type FramePlace = {
  readonly start: number
  readonly end: number
  readonly records: number
  readonly atMs: number
}

/** Magic, length of the payload, checksum of what follows it, number of records, time. */
const HEADER_BYTES = 24
const MAGIC = Buffer.from('TGL1')
const AT = { length: 4, checksum: 8, records: 12, time: 16 } as const

export function encodeFrame({ lines, counters, atMs }: Frame): Buffer {
  const payload = Buffer.from(`${JSON.stringify(counters)}\n${lines.join('\n')}`)
  const header = Buffer.alloc(HEADER_BYTES)
  MAGIC.copy(header)
  header.writeUInt32LE(payload.length, AT.length)
  header.writeUInt32LE(lines.length, AT.records)
  header.writeDoubleLE(atMs, AT.time)
  header.writeUInt32LE(crc32(payload, crc32(header.subarray(AT.records))), AT.checksum)
  return Buffer.concat([header, payload])
}

/** The frame that starts here; null when it is not whole or not as it was written. */
export function frameAt(bytes: Buffer, start: number): FramePlace | null {
  if (start + HEADER_BYTES > bytes.length) return null
  if (MAGIC.compare(bytes, start, start + MAGIC.length) !== 0) return null
  const end = start + HEADER_BYTES + bytes.readUInt32LE(start + AT.length)
  if (end > bytes.length) return null
  const sum = crc32(bytes.subarray(start + AT.records, end))
  if (sum !== bytes.readUInt32LE(start + AT.checksum)) return null
  return {
    start,
    end,
    records: bytes.readUInt32LE(start + AT.records),
    atMs: bytes.readDoubleLE(start + AT.time),
  }
}

/** Of a frame that is known to be whole. */
export function decodeFrame(bytes: Buffer, { start, end, atMs }: FramePlace): Frame {
  const text = bytes.toString('utf8', start + HEADER_BYTES, end)
  const [first = '[]', ...lines] = text.split('\n')
  const counters: string[] = JSON.parse(first)
  return { counters, lines: lines.filter((line) => line !== ''), atMs }
}

/**
 * Every whole frame of a file. What is left at the end was being written when the process died, and nobody was told that
 * it was kept. Bytes that are not whole between frames were damaged since: `damagedBytes`.
 */
export function scanFrames(bytes: Buffer): {
  readonly frames: readonly FramePlace[]
  readonly damagedBytes: number
} {
  const frames: FramePlace[] = []
  let damagedBytes = 0
  for (let at = 0; at < bytes.length; ) {
    const frame = frameAt(bytes, at) ?? nextFrame(bytes, at + 1)
    if (frame === null) break
    damagedBytes += frame.start - at
    frames.push(frame)
    at = frame.end
  }
  return { frames, damagedBytes }
}

function nextFrame(bytes: Buffer, from: number): FramePlace | null {
  for (let at = bytes.indexOf(MAGIC, from); at !== -1; at = bytes.indexOf(MAGIC, at + 1)) {
    const frame = frameAt(bytes, at)
    if (frame !== null) return frame
  }
  return null
}
