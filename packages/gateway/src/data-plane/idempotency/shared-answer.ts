import type { ClientAnswer } from '../http/client-answer.ts'

/** Somebody who gets the answer. */
export type AnswerReader = {
  /** There may be more to write, or the answer has ended. */
  more(): void
  /** Its client takes no more for now. */
  readonly blocked: boolean
  /** Position of the next chunk that it writes. */
  readonly at: number
  destroy(): void
}

export type SharedAnswerOptions = {
  /** More than this is not kept: the chunks that all readers have are dropped. Bytes. */
  readonly maxBytes: number
  /** The answer is whole but for its last bytes, which wait for this. Never rejects. */
  readonly beforeEnd: (answer: SharedAnswer) => Promise<void>
}

/**
 * One answer for several clients: kept from its first byte, so that who comes later gets all of it.
 *
 * The fastest reader sets the pace of the upstream while everything is kept, and the slowest once it is too large for
 * that.
 */
export class SharedAnswer implements ClientAnswer {
  headersSent = false
  writableEnded = false
  destroyed = false
  /** Each reader watches over its own. */
  readonly writableLength = 0
  status = 0
  headers: readonly string[] = []
  /** The last bytes may be read. */
  ended = false
  /** It began with bytes that are gone. */
  tooLarge = false
  /** Resolves when the last bytes may be read; null: they have not come. */
  closing: Promise<void> | null = null
  readonly #options: SharedAnswerOptions
  readonly #readers = new Set<AnswerReader>()
  readonly #chunks: Buffer[] = []
  /** Chunks that were dropped from the front. */
  #dropped = 0
  #sizeBytes = 0
  #last: Buffer = Buffer.alloc(0)
  #onDrain: (() => void) | null = null

  constructor(options: SharedAnswerOptions) {
    this.#options = options
  }

  writeHead(status: number, headers: readonly string[]): void {
    this.headersSent = true
    this.status = status
    this.headers = headers
  }

  write(bytes: Buffer): boolean {
    this.#add(bytes)
    return !this.#isCongested()
  }

  end(body?: Buffer | string, encoding?: 'latin1'): void {
    if (this.writableEnded || this.destroyed) return
    this.writableEnded = true
    if (body !== undefined)
      this.#last = typeof body === 'string' ? Buffer.from(body, encoding) : body
    this.#sizeBytes += this.#last.length
    this.tooLarge ||= this.#sizeBytes > this.#options.maxBytes
    this.closing = this.#close()
  }

  once(_event: 'drain', listener: () => void): void {
    this.#onDrain = listener
  }

  /** Readers have their own. */
  setTimeout(): void {}

  destroy(): void {
    this.destroyed = true
    for (const reader of this.#readers) reader.destroy()
  }

  /** All of it, last bytes included. */
  bytes(): Buffer {
    return Buffer.concat([...this.#chunks, this.#last])
  }

  join(reader: AnswerReader): void {
    this.#readers.add(reader)
    reader.more()
  }

  /** Its place is free: the others may be ahead. */
  leave(reader: AnswerReader): void {
    if (this.#readers.delete(reader)) this.moved()
  }

  readers(): number {
    return this.#readers.size
  }

  /** Null: there is none yet. The last one counts as the others do, once it may be read. */
  chunk(at: number): Buffer | null {
    return this.#chunks[at - this.#dropped] ?? null
  }

  /** A reader has written something, or can again. */
  moved(): void {
    if (this.tooLarge) this.#dropRead()
    if (this.#onDrain === null || this.#isCongested()) return
    const listener = this.#onDrain
    this.#onDrain = null
    listener()
  }

  #add(bytes: Buffer): void {
    this.#chunks.push(bytes)
    this.#sizeBytes += bytes.length
    this.tooLarge ||= this.#sizeBytes > this.#options.maxBytes
    for (const reader of this.#readers) reader.more()
    if (this.tooLarge) this.#dropRead()
  }

  async #close(): Promise<void> {
    await this.#options.beforeEnd(this)
    if (this.destroyed) return
    this.#chunks.push(this.#last)
    this.ended = true
    for (const reader of this.#readers) reader.more()
  }

  #isCongested(): boolean {
    if (this.#readers.size === 0) return false
    const readers = [...this.#readers]
    return this.tooLarge
      ? readers.some(({ blocked }) => blocked)
      : readers.every(({ blocked }) => blocked)
  }

  /** A whole answer is one last chunk, which nobody has read yet. */
  #dropRead(): void {
    if (this.writableEnded) return
    const read = Math.min(
      this.#dropped + this.#chunks.length,
      ...[...this.#readers].map(({ at }) => at),
    )
    this.#chunks.splice(0, read - this.#dropped)
    this.#dropped = read
  }
}
