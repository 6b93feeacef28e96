import type { Duplex } from 'node:stream'

/** Lines of text between two processes, in order. A write and the turn that it costs the other end cost more than what is in it. */
export type LineChannel = {
  /** Goes out with everything else that is sent in this turn of the event loop, in one write. */
  send(line: string): void
  /** For what nobody waits for: goes out with what somebody does, or a little later. */
  sendLate(line: string): void
  /**
   * `answered` is called for it. Goes out with this turn; a little later when there are many; and while others are not
   * answered, with the end of that, because the other end would come to it no sooner.
   */
  ask(line: string): void
  answered(count: number): void
  /** Writes now what was sent so far. */
  flush(): void
  /** Writes what was sent, then ends. */
  end(): void
}

export type LineHandlers = {
  readonly onLine: (line: string) => void
  /** Nothing comes any more. A line that was cut off is dropped. */
  readonly onClose: () => void
}

/** How long questions are gathered while there are many. */
const GATHER_MS = 1
/** So many in one write, or so soon after the one before, are many. */
const MANY = 2
/** How long anything waits at most. */
const LATEST_MS = 5

/** Both ends are ours, so lines are not bounded: what is sent is bounded by the calls under way. */
export function lineChannel(stream: Duplex, { onLine, onClose }: LineHandlers): LineChannel {
  const outbox = new Outbox((text) => {
    if (stream.writable) stream.write(text)
  })
  // Pieces, because a long text that is put together for each chunk is copied for each chunk.
  let begun: string[] = []

  function read(chunk: string): void {
    let from = 0
    for (let end = chunk.indexOf('\n'); end !== -1; end = chunk.indexOf('\n', from)) {
      const piece = chunk.slice(from, end)
      from = end + 1
      if (begun.length === 0) onLine(piece)
      else {
        begun.push(piece)
        const line = begun.join('')
        begun = []
        onLine(line)
      }
    }
    if (from < chunk.length) begun.push(chunk.slice(from))
  }

  stream.setEncoding('utf8')
  stream.on('data', read)
  // The other process ended: `close` follows.
  stream.on('error', () => {})
  stream.on('end', () => stream.end())
  stream.once('close', onClose)
  return {
    send: (line) => outbox.send(line),
    sendLate: (line) => outbox.sendLate(line),
    ask: (line) => outbox.ask(line),
    answered: (count) => outbox.answered(count),
    flush: () => outbox.flush(),
    end() {
      outbox.flush()
      stream.end()
    },
  }
}

class Outbox implements Omit<LineChannel, 'end'> {
  readonly #write: (text: string) => void
  #waiting: string[] = []
  #scheduled = false
  #gathering: NodeJS.Timeout | null = null
  #gatheredAtMs = 0
  #asked = 0
  #lastAsked = 0
  #lastAtMs = 0
  #unanswered = 0

  constructor(write: (text: string) => void) {
    this.#write = write
  }

  send(line: string): void {
    this.#waiting.push(line)
    this.#schedule()
  }

  sendLate(line: string): void {
    this.#waiting.push(line)
    if (this.#gathering === null) this.#flushWithin(LATEST_MS)
  }

  ask(line: string): void {
    this.#waiting.push(line)
    this.#asked += 1
    if (this.#unanswered > 0) return this.#flushWithin(LATEST_MS)
    const many = this.#lastAsked >= MANY || performance.now() - this.#lastAtMs < GATHER_MS
    if (many) this.#flushWithin(GATHER_MS)
    else this.#schedule()
  }

  answered(count: number): void {
    this.#unanswered = Math.max(0, this.#unanswered - count)
    if (this.#unanswered === 0 && this.#asked > 0) this.#schedule()
  }

  readonly flush = (): void => {
    this.#scheduled = false
    if (this.#gathering !== null) clearTimeout(this.#gathering)
    this.#gathering = null
    if (this.#waiting.length === 0) return
    this.#unanswered += this.#asked
    this.#lastAsked = this.#asked
    this.#asked = 0
    this.#lastAtMs = performance.now()
    const text = `${this.#waiting.join('\n')}\n`
    this.#waiting = []
    this.#write(text)
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.flush)
  }

  #flushWithin(ms: number): void {
    if (this.#scheduled) return
    const atMs = performance.now() + ms
    if (this.#gathering !== null) {
      if (this.#gatheredAtMs <= atMs) return
      clearTimeout(this.#gathering)
    }
    this.#gathering = setTimeout(this.flush, ms)
    this.#gatheredAtMs = atMs
  }
}
