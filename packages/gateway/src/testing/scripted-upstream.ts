import { createServer, type Server, type Socket } from 'node:net'

/** One request as its bytes came. */
export type Received = {
  /** Request line and fields, without the blank line. */
  readonly head: string
  /** Lower-case names and values in turn. */
  readonly fields: readonly (readonly [string, string])[]
  readonly body: Buffer
}

/** One request and the connection to answer it on. */
export type Exchange = {
  readonly received: Received
  readonly socket: Socket
  /** When the gateway closed the connection; null while it is open. `performance.now()`. */
  closedAtMs: number | null
}

export type ScriptedUpstream = {
  readonly url: string
  readonly port: number
  readonly exchanges: Exchange[]
  readonly connections: () => number
  play: (exchange: Exchange) => void | Promise<void>
  close(): Promise<void>
}

const BLANK_LINE = '\r\n\r\n'

/** An upstream that answers exact bytes and keeps every byte that it was sent. */
export async function startScriptedUpstream(
  play: (exchange: Exchange) => void | Promise<void> = () => {},
): Promise<ScriptedUpstream> {
  const sockets = new Set<Socket>()
  let connections = 0
  const upstream: Omit<ScriptedUpstream, 'url' | 'port'> = {
    exchanges: [],
    connections: () => connections,
    play,
    close: () => closeAll(server, sockets),
  }
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    connections++
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    serveConnection(socket, (exchange) => {
      upstream.exchanges.push(exchange)
      void played.play(exchange)
    })
  })
  const port = await listen(server)
  const played = Object.assign(upstream, { url: `http://127.0.0.1:${port}`, port })
  return played
}

function serveConnection(socket: Socket, onExchange: (exchange: Exchange) => void): void {
  let pending = Buffer.alloc(0)
  const open: Exchange[] = []
  const gone = (): void => {
    for (const exchange of open) exchange.closedAtMs ??= performance.now()
  }
  socket.on('end', gone)
  socket.on('close', gone)
  socket.on('data', (bytes: Buffer) => {
    pending = Buffer.concat([pending, bytes])
    for (;;) {
      const taken = takeRequest(pending)
      if (taken === null) return
      pending = pending.subarray(taken.sizeBytes)
      const exchange: Exchange = { received: taken.received, socket, closedAtMs: null }
      open.push(exchange)
      onExchange(exchange)
    }
  })
}

function takeRequest(bytes: Buffer): { received: Received; sizeBytes: number } | null {
  const headEnd = bytes.indexOf(BLANK_LINE)
  if (headEnd === -1) return null
  const head = bytes.toString('latin1', 0, headEnd)
  const fields = head
    .split('\r\n')
    .slice(1)
    .map((line): [string, string] => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
    })
  const length = Number(fields.find(([name]) => name === 'content-length')?.[1] ?? 0)
  const bodyStart = headEnd + BLANK_LINE.length
  if (bytes.length < bodyStart + length) return null
  const body = Buffer.from(bytes.subarray(bodyStart, bodyStart + length))
  return { received: { head, fields, body }, sizeBytes: bodyStart + length }
}

/** The value of a field of a request; undefined when absent. */
export function fieldOf({ fields }: Received, name: string): string | undefined {
  return fields.find(([one]) => one === name)?.[1]
}

/** A whole answer with a length. */
export function wholeAnswer(
  status: number,
  body: string | Buffer,
  fields: readonly string[] = ['content-type: application/json'],
): Buffer {
  const bytes = Buffer.from(body)
  const head = [`HTTP/1.1 ${status} Some`, ...fields, `content-length: ${bytes.length}`]
  return Buffer.concat([Buffer.from(head.join('\r\n') + BLANK_LINE, 'latin1'), bytes])
}

export const STREAM_HEAD =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n'
export const LAST_CHUNK = '0\r\n\r\n'

/** One chunk of a chunked body. */
export function chunk(bytes: string | Buffer): Buffer {
  const body = Buffer.from(bytes)
  return Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n')])
}

/** A whole event stream, one chunk per piece. */
export function streamAnswer(pieces: readonly (string | Buffer)[]): Buffer {
  return Buffer.concat([Buffer.from(STREAM_HEAD), ...pieces.map(chunk), Buffer.from(LAST_CHUNK)])
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })
}

function closeAll(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    for (const socket of sockets) socket.destroy()
  })
}
