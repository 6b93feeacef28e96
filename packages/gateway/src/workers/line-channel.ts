import type { Duplex } from 'node:stream'

/** Lines of text between two processes, in order. */
export type LineChannel = {
  /** Goes out with everything else that is sent in this turn of the event loop, in one write. */
  send(line: string): void
  /** Goes out a little later when there is much to send: a write costs more than what is in it. For what can wait. */
  sendSoon(line: string): void
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

/** How long lines that can wait are gathered while there are many. */
const GATHER_MS = 1
/** So many in one write, or so soon after the one before, are many. */
const MANY = 2

/** Both ends are ours, so lines are not bounded: what is sent is bounded by the calls under way. */
export function lineChannel(stream: Duplex, { onLine, onClose }: LineHandlers): LineChannel {
  let waiting: string[] = []
  let scheduled = false
  let gathering: NodeJS.Timeout | null = null
  let lastCount = 0
  let lastAtMs = 0
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

  function flush(): void {
    scheduled = false
    if (gathering !== null) clearTimeout(gathering)
    gathering = null
    if (waiting.length === 0) return
    lastCount = waiting.length
    lastAtMs = performance.now()
    const text = `${waiting.join('\n')}\n`
    waiting = []
    if (stream.writable) stream.write(text)
  }

  function schedule(): void {
    if (scheduled) return
    scheduled = true
    setImmediate(flush)
  }

  stream.setEncoding('utf8')
  stream.on('data', read)
  // The other process ended: `close` follows.
  stream.on('error', () => {})
  stream.on('end', () => stream.end())
  stream.once('close', onClose)
  return {
    send(line) {
      waiting.push(line)
      schedule()
    },
    sendSoon(line) {
      waiting.push(line)
      if (scheduled || gathering !== null) return
      const busy = lastCount >= MANY || performance.now() - lastAtMs < GATHER_MS
      if (busy) gathering = setTimeout(flush, GATHER_MS)
      else schedule()
    },
    flush,
    end() {
      flush()
      stream.end()
    },
  }
}
