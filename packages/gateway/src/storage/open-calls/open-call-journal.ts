import {
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  writeSync,
} from 'node:fs'
import type { LeftCall, OpenCall, OpenCalls } from '../../contracts/open-calls.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import {
  FREE_BYTE,
  isJournalHeader,
  JOURNAL_HEADER,
  offsetOf,
  readSlot,
  SENT_BYTE,
  SLOT_BYTES,
  WAITING_BYTE,
  writeSlot,
} from './journal-slots.ts'

export const JOURNAL_FILE = 'open-calls.journal'

/** Calls that can be open at once: 64 MiB of file at most. */
const MOST_SLOTS = 16_384
/** Calls that are noted with one write. */
const MOST_TOGETHER = 64
/** So many slots are used in turn at least, and so many times more than are open: then those of one moment are neighbours. */
const LEAST_IN_TURN = 64
const TURN_PER_OPEN = 4
/** How long a slot that is free may still look taken to the next process, which then finds its record. */
const SWEEP_MS = 250

/** Free in the file too. */
const FREE = 0
/** Free, but the file does not say so yet. */
const STALE = 1
const TAKEN = 2
/** Taken, and the call waits for a connection: the file says so. */
const WAITING = 3
/** Taken, and bytes of the call have left. */
const SENT = 4

export type JournalOptions = {
  readonly path: string
  /** Each note waits for the disk; notes of one moment wait together. Then all that is noted counts as sent. */
  readonly sync: boolean
  /** For the log: what could not be read. */
  readonly onProblem: (problem: string) => void
  readonly mostSlots?: number
}

export type OpenCallJournal = OpenCalls & {
  /** What the former process left: its calls stay noted until they are done. */
  readonly left: readonly LeftCall[]
  close(): void
}

/**
 * A file of fixed slots beside the database, one per call under way, written just before the provider is called. A write
 * is in the operating system's hands when it returns, so `kill -9` loses none. The calls of one turn of the event loop are
 * written together.
 *
 * @throws Error when the file cannot be opened
 */
export function openCallJournal(options: JournalOptions): OpenCallJournal {
  const { fd, slots } = openFile(options)
  const left: LeftCall[] = []
  const slotOf = new Map<string, number>()
  for (let slot = 0; slot < slots; slot++) {
    const found = readSlot(fd, slot)
    if (found.kind === 'call' && !slotOf.has(found.call.requestId)) {
      left.push(found.call)
      slotOf.set(found.call.requestId, slot)
    } else if (found.kind === 'damaged') {
      options.onProblem(
        `Slot ${slot} of ${options.path} is damaged: what that call held is not charged.`,
      )
      writeSync(fd, FREE_BYTE, 0, 1, offsetOf(slot))
    }
  }
  return new Journal(fd, options, { left, slotOf })
}

type Found = { readonly left: readonly LeftCall[]; readonly slotOf: Map<string, number> }

/** Notes of one turn of the event loop. */
type Batch = {
  /** Of each note, in the order in which they stand in the buffer. */
  readonly slots: number[]
  /** Of the notes that replace none: free again when they cannot be written. */
  readonly requestIds: string[]
  lastBytes: number
  readonly outcome: PromiseWithResolvers<void>
}

class Journal implements OpenCallJournal {
  readonly left: readonly LeftCall[]
  readonly #fd: number
  readonly #options: JournalOptions
  readonly #slotOf: Map<string, number>
  /** `FREE`, `STALE`, `TAKEN`, `WAITING` or `SENT`. */
  readonly #states: Uint8Array
  #next = 0
  /** Null: nothing was noted yet. */
  #buffer: Buffer | null = null
  #batch: Batch | null = null
  readonly #sweep: NodeJS.Timeout
  #syncing: Promise<void> | null = null
  #nextSync: Promise<void> | null = null

  constructor(fd: number, options: JournalOptions, { left, slotOf }: Found) {
    this.#fd = fd
    this.#options = options
    this.left = left
    this.#slotOf = slotOf
    let most = options.mostSlots ?? MOST_SLOTS
    for (const slot of slotOf.values()) most = Math.max(most, slot + 1)
    this.#states = new Uint8Array(most)
    for (const { requestId, sent } of left) {
      this.#states[slotOf.get(requestId) ?? 0] = sent ? SENT : WAITING
    }
    this.#sweep = setInterval(() => this.#clearStale(), SWEEP_MS).unref()
  }

  /** Hot: once per request that charges a durable limit. bench/open-calls.ts */
  note(call: OpenCall): Promise<void> {
    const known = this.#slotOf.get(call.requestId)
    const batch = this.#batch ?? this.#openBatch()
    const bytes = this.#draft(call, batch.slots.length)
    const slot = known ?? this.#takeSlot()
    batch.slots.push(slot)
    batch.lastBytes = bytes
    if (known === undefined) {
      this.#slotOf.set(call.requestId, slot)
      batch.requestIds.push(call.requestId)
    }
    if (batch.slots.length === MOST_TOGETHER) this.#write(batch)
    return batch.outcome.promise
  }

  waits(requestId: string): void {
    const slot = this.#slotOf.get(requestId)
    // Where notes wait for the disk, the mark of the sending would have to.
    if (slot === undefined || this.#states[slot] !== TAKEN || this.#options.sync) return
    try {
      writeSync(this.#fd, WAITING_BYTE, 0, 1, offsetOf(slot))
      this.#states[slot] = WAITING
    } catch {
      // Then it counts as sent.
    }
  }

  /** Hot. */
  sends(requestId: string): void {
    const slot = this.#slotOf.get(requestId)
    if (slot === undefined) return
    if (this.#states[slot] === WAITING) this.#markSent(slot)
    this.#states[slot] = SENT
  }

  done(requestId: string): void {
    const slot = this.#slotOf.get(requestId)
    if (slot === undefined) return
    this.#slotOf.delete(requestId)
    this.#states[slot] = STALE
  }

  close(): void {
    if (this.#batch !== null) this.#write(this.#batch)
    clearInterval(this.#sweep)
    this.#clearStale()
    closeSync(this.#fd)
  }

  #markSent(slot: number): void {
    try {
      writeSync(this.#fd, SENT_BYTE, 0, 1, offsetOf(slot))
    } catch (cause) {
      throw unnoted(cause)
    }
  }

  #openBatch(): Batch {
    const batch: Batch = {
      slots: [],
      requestIds: [],
      lastBytes: 0,
      outcome: Promise.withResolvers<void>(),
    }
    this.#batch = batch
    // Who waits still sees the rejection; a caller that does not must not end the process.
    batch.outcome.promise.catch(() => {})
    process.nextTick(() => {
      if (this.#batch === batch) this.#write(batch)
    })
    return batch
  }

  #draft(call: OpenCall, place: number): number {
    try {
      this.#buffer ??= Buffer.alloc(MOST_TOGETHER * SLOT_BYTES)
      const at = place * SLOT_BYTES
      return writeSlot(this.#buffer.subarray(at, at + SLOT_BYTES), call)
    } catch (cause) {
      throw unnoted(cause)
    }
  }

  /** The next free one in turn. */
  #takeSlot(): number {
    const states = this.#states
    const open = this.#slotOf.size
    if (open >= states.length) {
      throw unavailable('Too many calls are under way to note another.', null)
    }
    const inTurn = Math.max(LEAST_IN_TURN, open * TURN_PER_OPEN)
    let slot = this.#next < Math.min(inTurn, states.length) ? this.#next : 0
    while ((states[slot] ?? FREE) >= TAKEN) slot = slot + 1 === states.length ? 0 : slot + 1
    states[slot] = TAKEN
    this.#next = slot + 1
    return slot
  }

  #write(batch: Batch): void {
    this.#batch = null
    const { slots, outcome } = batch
    try {
      let from = 0
      for (let i = 1; i <= slots.length; i++) {
        if (i < slots.length && slots[i] === (slots[i - 1] ?? 0) + 1) continue
        this.#writeRun(batch, from, i)
        from = i
      }
      outcome.resolve(this.#options.sync ? this.#synced() : undefined)
    } catch (cause) {
      this.#takeBack(batch)
      outcome.reject(unnoted(cause))
    }
  }

  /** Notes `[from, to)`, whose slots are neighbours. What stands behind a note in its slot is never read. */
  #writeRun({ slots, lastBytes }: Batch, from: number, to: number): void {
    const last = to === slots.length ? lastBytes : SLOT_BYTES
    const bytes = (to - from - 1) * SLOT_BYTES + last
    const at = offsetOf(slots[from] ?? 0)
    const drafts = this.#buffer ?? FREE_BYTE
    // Of now: a call may have found its connection since it was noted again.
    for (let i = from; i < to; i++) this.#stateByte(slots[i] ?? 0).copy(drafts, i * SLOT_BYTES)
    const written = writeSync(this.#fd, drafts, from * SLOT_BYTES, bytes, at)
    if (written < bytes) throw new Error('The disk is full.')
  }

  #stateByte(slot: number): Buffer {
    return this.#states[slot] === WAITING ? WAITING_BYTE : SENT_BYTE
  }

  /** Their calls are not made. Some may be in the file already. */
  #takeBack({ requestIds }: Batch): void {
    for (const requestId of requestIds) this.done(requestId)
    this.#clearStale()
  }

  #clearStale(): void {
    const states = this.#states
    try {
      for (let slot = states.indexOf(STALE); slot !== -1; slot = states.indexOf(STALE, slot + 1)) {
        writeSync(this.#fd, FREE_BYTE, 0, 1, offsetOf(slot))
        states[slot] = FREE
      }
    } catch {
      // The next start finds their records.
    }
  }

  /** One sync serves all that were written before it began. */
  #synced(): Promise<void> {
    if (this.#syncing === null) return this.#sync()
    this.#nextSync ??= this.#syncing.catch(() => {}).then(() => this.#sync())
    return this.#nextSync
  }

  #sync(): Promise<void> {
    this.#nextSync = null
    const syncing = new Promise<void>((resolve, reject) => {
      fdatasync(this.#fd, (thrown) => {
        if (this.#syncing === syncing) this.#syncing = null
        if (thrown === null) resolve()
        else reject(unavailable('The call cannot be noted on the disk, so it is not made.', thrown))
      })
    })
    this.#syncing = syncing
    return syncing
  }
}

/** A file of another kind or version is set aside: it may hold calls that only its own version can settle. */
function openFile({ path, onProblem }: JournalOptions): { fd: number; slots: number } {
  let fd = openSync(path, OPEN_FLAGS, 0o600)
  const header = Buffer.alloc(JOURNAL_HEADER.length)
  const length = readSync(fd, header, 0, header.length, 0)
  if (length > 0 && !isJournalHeader(header)) {
    closeSync(fd)
    const aside = `${path}.unreadable-${Date.now()}`
    renameSync(path, aside)
    onProblem(
      `${path} is damaged or of another version. It is kept as ${aside}; calls that it holds are not charged.`,
    )
    fd = openSync(path, OPEN_FLAGS, 0o600)
  }
  writeSync(fd, JOURNAL_HEADER, 0, JOURNAL_HEADER.length, 0)
  const bytes = fstatSync(fd).size - SLOT_BYTES
  return { fd, slots: Math.max(0, Math.ceil(bytes / SLOT_BYTES)) }
}

const OPEN_FLAGS = constants.O_RDWR | constants.O_CREAT

function unnoted(cause: unknown): GatewayError {
  return unavailable('The call cannot be noted, so it is not made.', cause)
}

function unavailable(message: string, cause: unknown): GatewayError {
  return new GatewayError('ledger_unavailable', message, {
    cause,
    details: { headers: { 'retry-after': '1' } },
  })
}
