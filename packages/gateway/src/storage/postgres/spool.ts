import { constants } from 'node:fs'
import {
  chmod,
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
} from 'node:fs/promises'
import { join } from 'node:path'
import {
  decodeFrame,
  encodeFrame,
  type Frame,
  frameAt,
  type FramePlace,
  scanFrames,
} from './spool-frame.ts'

export type SpoolOptions = {
  /** A directory of its own. */
  readonly directory: string
  /** Each write waits for the disk. */
  readonly durable: boolean
  /** Bytes of a file after which the next is begun. */
  readonly rotateBytes?: number
  /** What the operator must know: bytes that cannot be read. */
  readonly onProblem: (problem: string) => void
}

type Segment = {
  readonly path: string
  /** Of whole frames; a write that failed is written over by the next. */
  length: number
  /** Frames that are not in the database. */
  open: number
  damaged: boolean
  handle: FileHandle | null
}

type Waiting = FramePlace & { readonly segment: Segment }

const ROTATE_BYTES = 4 * 1024 * 1024
const PRIVATE_FILE = 0o600
const PRIVATE_DIRECTORY = 0o700
const NAME = /^(\d{16})\.spool$/
/** Frames that are taken at once. */
const TAKEN_RECORDS = 100
const TAKEN_BYTES = 1024 * 1024
/** More than a block, so that success means that the file could grow. */
const PROBE_BYTES = 16 * 1024

/**
 * Frames on disk that the database has not taken yet, in their order. Files are only added to at their end, and deleted
 * when all of their frames are in the database. What was taken but not yet deleted when the process died is taken again.
 *
 * One `take` at a time; writes may overlap it.
 */
export class Spool {
  readonly #options: SpoolOptions
  readonly #segments: Segment[] = []
  readonly #waiting: Waiting[] = []
  #active: Segment | null = null
  #turn: Promise<unknown> = Promise.resolve()
  #nextNumber = 1
  #records = 0

  private constructor(options: SpoolOptions) {
    this.#options = options
  }

  /** Finds what an earlier process left. */
  static async open(options: SpoolOptions): Promise<Spool> {
    await mkdir(options.directory, { recursive: true, mode: PRIVATE_DIRECTORY })
    await chmod(options.directory, PRIVATE_DIRECTORY)
    const spool = new Spool(options)
    for (const name of (await readdir(options.directory)).toSorted()) {
      const number = NAME.exec(name)?.[1]
      if (number === undefined) continue
      spool.#nextNumber = Number(number) + 1
      await spool.#adopt(join(options.directory, name))
    }
    return spool
  }

  /** Bytes on disk, also of frames that the database has. */
  get bytes(): number {
    return this.#segments.reduce((sum, { length }) => sum + length, 0)
  }

  get records(): number {
    return this.#records
  }

  get frames(): number {
    return this.#waiting.length
  }

  get oldestAtMs(): number | null {
    return this.#waiting[0]?.atMs ?? null
  }

  /** Resolves when the frames are in the operating system's hands, or on disk. All or none. */
  write(frames: readonly Frame[]): Promise<void> {
    return this.#inTurn(() => this.#append(frames))
  }

  /** Proves that a write would succeed. Leaves nothing. */
  probe(): Promise<void> {
    return this.#inTurn(async () => {
      const segment = await this.#writable()
      try {
        await this.#put(segment, Buffer.alloc(PROBE_BYTES))
      } finally {
        await segment.handle?.truncate(segment.length).catch(() => {})
      }
    })
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => {})
    return result
  }

  async #append(frames: readonly Frame[]): Promise<void> {
    const segment = await this.#writable()
    const parts = frames.map(encodeFrame)
    const from = segment.length
    try {
      await this.#put(segment, Buffer.concat(parts))
    } catch (thrown) {
      await segment.handle?.truncate(from).catch(() => {})
      throw thrown
    }
    let start = from
    for (const [index, part] of parts.entries()) {
      const end = start + part.length
      const { lines, atMs } = frames[index] ?? { lines: [], atMs: 0 }
      this.#add({ segment, start, end, records: lines.length, atMs })
      start = end
    }
    segment.length = start
  }

  /** The oldest frames, which stay until they are `done`; at least one when there are any. */
  async take(): Promise<readonly Frame[]> {
    const taken: Waiting[] = []
    let records = 0
    for (const frame of this.#waiting) {
      const [first = frame] = taken
      const isEnough =
        records + frame.records > TAKEN_RECORDS || frame.end - first.start > TAKEN_BYTES
      if (taken.length > 0 && (frame.segment !== first.segment || isEnough)) break
      taken.push(frame)
      records += frame.records
    }
    const [first] = taken
    const last = taken.at(-1)
    if (first === undefined || last === undefined) return []
    const bytes = await readRange(first.segment.path, first.start, last.end)
    return taken.map((frame) => this.#decode(bytes, frame, first.start))
  }

  /** The oldest frames are in the database. */
  async done(count: number): Promise<void> {
    for (const { segment, records } of this.#waiting.splice(0, count)) {
      segment.open--
      this.#records -= records
    }
    await this.#deleteDone((segment) => segment !== this.#active)
  }

  /** Deletes what the database has; the rest waits for the next process. */
  async close(): Promise<void> {
    await this.#turn
    this.#active = null
    await this.#deleteDone(() => true)
    for (const segment of this.#segments) await segment.handle?.close()
  }

  async #deleteDone(may: (segment: Segment) => boolean): Promise<void> {
    const rotateBytes = this.#options.rotateBytes ?? ROTATE_BYTES
    for (const segment of this.#segments.slice()) {
      if (segment.open > 0) return
      if (!may(segment) && segment.length < rotateBytes) return
      const index = this.#segments.indexOf(segment)
      // Another call, which waited meanwhile, has done it.
      if (index === -1) continue
      if (segment === this.#active) this.#active = null
      this.#segments.splice(index, 1)
      await segment.handle?.close()
      if (segment.damaged) await rename(segment.path, `${segment.path}.damaged`)
      else await rm(segment.path, { force: true })
    }
  }

  #add(frame: Waiting): void {
    this.#waiting.push(frame)
    frame.segment.open++
    this.#records += frame.records
  }

  async #adopt(path: string): Promise<void> {
    const bytes = await readFile(path)
    const { frames, damagedBytes } = scanFrames(bytes)
    const segment = { path, length: bytes.length, open: 0, damaged: damagedBytes > 0, handle: null }
    this.#segments.push(segment)
    for (const frame of frames) this.#add({ ...frame, segment })
    if (segment.damaged) this.#tellDamage(segment, damagedBytes)
  }

  #tellDamage({ path }: Segment, bytes: number): void {
    this.#options.onProblem(
      `${bytes} bytes of ${path} are damaged: usage records in them are lost. The file is kept as ${path}.damaged.`,
    )
  }

  #decode(bytes: Buffer, frame: Waiting, offset: number): Frame {
    const place = frameAt(bytes, frame.start - offset)
    if (place !== null) return decodeFrame(bytes, place)
    // Whole when it was written or found, and not any more.
    frame.segment.damaged = true
    this.#tellDamage(frame.segment, frame.end - frame.start)
    return { lines: [], counters: [], atMs: frame.atMs }
  }

  async #writable(): Promise<Segment> {
    const { rotateBytes = ROTATE_BYTES, directory, durable } = this.#options
    if (this.#active !== null && this.#active.length < rotateBytes) return this.#active
    const path = join(directory, `${String(this.#nextNumber).padStart(16, '0')}.spool`)
    const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL
    const handle = await open(path, flags, PRIVATE_FILE)
    this.#nextNumber++
    if (durable) await syncDirectory(directory)
    const former = this.#active
    const segment: Segment = { path, length: 0, open: 0, damaged: false, handle }
    this.#segments.push(segment)
    this.#active = segment
    if (former !== null) await this.#deleteDone((one) => one !== segment)
    return segment
  }

  async #put(segment: Segment, bytes: Buffer): Promise<void> {
    const { handle } = segment
    if (handle === null) throw new Error('The spool file is closed.')
    for (let put = 0; put < bytes.length; ) {
      const left = bytes.length - put
      const { bytesWritten } = await handle.write(bytes, put, left, segment.length + put)
      put += bytesWritten
    }
    if (!this.#options.durable) return
    try {
      await handle.datasync()
    } catch (thrown) {
      // What the system holds of this file is unknown from now on: the next write begins another.
      this.#active = null
      throw thrown
    }
  }
}

async function readRange(path: string, start: number, end: number): Promise<Buffer> {
  const handle = await open(path, 'r')
  try {
    const bytes = Buffer.alloc(end - start)
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, start)
    if (bytesRead < bytes.length) throw new Error(`${path} is shorter than it was.`)
    return bytes
  } finally {
    await handle.close()
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
