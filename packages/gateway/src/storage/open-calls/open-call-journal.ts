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
import type { OpenCall, OpenCalls } from '../../contracts/open-calls.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import {
  isJournalHeader,
  JOURNAL_HEADER,
  offsetOf,
  readSlot,
  SLOT_BYTES,
  writeSlot,
} from './journal-slots.ts'

export const JOURNAL_FILE = 'open-calls.journal'

/** Calls that can be open at once: 64 MiB of file at most. */
const MOST_SLOTS = 16_384
/** How long a slot that is free may still look taken to the next process, which then finds its record. */
const SWEEP_MS = 250
const FREE = Buffer.of(0)

export type JournalOptions = {
  readonly path: string
  /** Each note waits for the disk; notes of one moment wait together. */
  readonly sync: boolean
  /** For the log: what could not be read. */
  readonly onProblem: (problem: string) => void
  readonly mostSlots?: number
}

export type OpenCallJournal = OpenCalls & {
  /** What the former process left: its calls stay noted until they are done. */
  readonly left: readonly OpenCall[]
  close(): void
}

/**
 * A file of fixed slots beside the database, one per call under way, written just before the provider is called. A write
 * is in the operating system's hands when it returns, so `kill -9` loses none.
 *
 * @throws Error when the file cannot be opened
 */
export function openCallJournal(options: JournalOptions): OpenCallJournal {
  const { fd, slots } = openFile(options)
  const left: OpenCall[] = []
  const slotOf = new Map<string, number>()
  const free: number[] = []
  for (let slot = slots - 1; slot >= 0; slot--) {
    const found = readSlot(fd, slot)
    if (found.kind === 'call' && !slotOf.has(found.call.requestId)) {
      left.push(found.call)
      slotOf.set(found.call.requestId, slot)
      continue
    }
    if (found.kind === 'damaged') {
      options.onProblem(
        `Slot ${slot} of ${options.path} is damaged: what that call held is not charged.`,
      )
      writeSync(fd, FREE, 0, 1, offsetOf(slot))
    }
    free.push(slot)
  }
  return new Journal(fd, options, { left, slotOf, free, slots })
}

type Found = {
  readonly left: readonly OpenCall[]
  readonly slotOf: Map<string, number>
  readonly free: number[]
  readonly slots: number
}

class Journal implements OpenCallJournal {
  readonly left: readonly OpenCall[]
  readonly #fd: number
  readonly #options: JournalOptions
  readonly #slotOf: Map<string, number>
  /** Free in the file too. */
  readonly #free: number[]
  /** Free, but the file does not say so yet. Used first, so that most are never written twice. */
  #stale: number[] = []
  #slots: number
  readonly #buffer = Buffer.alloc(SLOT_BYTES)
  readonly #sweep: NodeJS.Timeout
  #syncing: Promise<void> | null = null
  #nextSync: Promise<void> | null = null

  constructor(fd: number, options: JournalOptions, found: Found) {
    this.#fd = fd
    this.#options = options
    this.left = found.left
    this.#slotOf = found.slotOf
    this.#free = found.free
    this.#slots = found.slots
    this.#sweep = setInterval(() => this.#clearStale(), SWEEP_MS).unref()
  }

  /** Hot: once per request that charges a durable limit. bench/open-calls.ts */
  note(call: OpenCall): void | Promise<void> {
    const known = this.#slotOf.get(call.requestId)
    const slot = known ?? this.#takeSlot()
    try {
      const length = writeSlot(this.#buffer, call)
      const written = writeSync(this.#fd, this.#buffer, 0, length, offsetOf(slot))
      if (written < length) throw new Error('The disk is full.')
    } catch (cause) {
      if (known === undefined) this.#stale.push(slot)
      throw unavailable('The call cannot be noted, so it is not made.', cause)
    }
    this.#slotOf.set(call.requestId, slot)
    if (this.#options.sync) return this.#synced()
  }

  done(requestId: string): void {
    const slot = this.#slotOf.get(requestId)
    if (slot === undefined) return
    this.#slotOf.delete(requestId)
    this.#stale.push(slot)
  }

  close(): void {
    clearInterval(this.#sweep)
    this.#clearStale()
    closeSync(this.#fd)
  }

  #takeSlot(): number {
    const slot = this.#stale.pop() ?? this.#free.pop()
    if (slot !== undefined) return slot
    if (this.#slots >= (this.#options.mostSlots ?? MOST_SLOTS)) {
      throw unavailable('Too many calls are under way to note another.', null)
    }
    return this.#slots++
  }

  #clearStale(): void {
    const stale = this.#stale
    if (stale.length === 0) return
    this.#stale = []
    try {
      for (const slot of stale) writeSync(this.#fd, FREE, 0, 1, offsetOf(slot))
    } catch {
      // The next start finds their records.
    }
    this.#free.push(...stale)
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

function unavailable(message: string, cause: unknown): GatewayError {
  return new GatewayError('ledger_unavailable', message, {
    cause,
    details: { headers: { 'retry-after': '1' } },
  })
}
