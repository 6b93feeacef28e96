import { connect, type Socket } from 'node:net'

export type LoadOptions = {
  readonly port: number
  readonly path: string
  readonly key: string
  readonly body: string
  readonly connections: number
  readonly durationMs: number
  /** Requests a second over all connections; null: as many as will go. */
  readonly rate: number | null
}

export type LoadResult = {
  readonly requests: number
  readonly failures: number
  readonly perSecond: number
  readonly latenciesMs: readonly number[]
  readonly firstByteMs: readonly number[]
}

/**
 * Keeps every connection busy with one request after another over raw sockets, so that the client costs little.
 *
 * With a rate, requests are started at even distances, and a request that finds no free connection waits (its wait counts).
 */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const run = new Run(options)
  return run.start()
}

class Run {
  private readonly options: LoadOptions
  private readonly request: Buffer
  private readonly latencies: number[] = []
  private readonly firsts: number[] = []
  private failures = 0
  private stopAtMs = 0
  private readonly idle: Connection[] = []
  private readonly due: number[] = []

  constructor(options: LoadOptions) {
    this.options = options
    const { path, key, body } = options
    this.request = Buffer.from(
      `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${options.port}\r\nauthorization: Bearer ${key}\r\n` +
        'user-agent: bench/1\r\naccept: application/json\r\ncontent-type: application/json\r\n' +
        `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    )
  }

  async start(): Promise<LoadResult> {
    const { connections, durationMs, rate } = this.options
    const startedMs = performance.now()
    this.stopAtMs = startedMs + durationMs
    const done: Promise<void>[] = []
    for (let i = 0; i < connections; i++) {
      const connection = new Connection(this, this.request, this.options.port)
      done.push(connection.closed)
      if (rate !== null) this.idle.push(connection)
    }
    if (rate !== null) this.pace(rate, startedMs)
    await Promise.all(done)
    const elapsedMs = performance.now() - startedMs
    return {
      requests: this.latencies.length,
      failures: this.failures,
      perSecond: (this.latencies.length * 1000) / elapsedMs,
      latenciesMs: this.latencies,
      firstByteMs: this.firsts,
    }
  }

  get paced(): boolean {
    return this.options.rate !== null
  }

  over(): boolean {
    return performance.now() >= this.stopAtMs
  }

  finished(connection: Connection, latencyMs: number, firstMs: number, ok: boolean): void {
    this.latencies.push(latencyMs)
    this.firsts.push(firstMs)
    if (!ok) this.failures++
    if (this.over()) return connection.close()
    if (!this.paced) return connection.send(performance.now())
    const dueMs = this.due.shift()
    if (dueMs === undefined) this.idle.push(connection)
    else connection.send(dueMs)
  }

  private pace(rate: number, startedMs: number): void {
    let started = 0
    const timer = setInterval(() => {
      const nowMs = performance.now()
      if (this.over()) {
        clearInterval(timer)
        for (const connection of this.idle) connection.close()
        return
      }
      const wanted = Math.floor(((nowMs - startedMs) / 1000) * rate)
      for (; started < wanted; started++) {
        const connection = this.idle.pop()
        if (connection === undefined) this.due.push(nowMs)
        else connection.send(nowMs)
      }
    }, 1)
  }
}

class Connection {
  readonly closed: Promise<void>
  private readonly run: Run
  private readonly request: Buffer
  private readonly socket: Socket
  private startedMs = 0
  private firstMs = 0
  private awaited = -1
  private received = 0
  private chunked = false
  private ok = true

  constructor(run: Run, request: Buffer, port: number) {
    this.run = run
    this.request = request
    this.socket = connect(port, '127.0.0.1')
    this.socket.setNoDelay(true)
    this.closed = new Promise((resolve) => this.socket.on('close', () => resolve()))
    this.socket.on('error', () => {})
    this.socket.on('data', (chunk) => this.onData(chunk))
    if (!run.paced) this.socket.on('connect', () => this.send(performance.now()))
  }

  send(atMs: number): void {
    this.startedMs = atMs
    this.firstMs = 0
    this.awaited = -1
    this.received = 0
    this.socket.write(this.request)
  }

  close(): void {
    this.socket.destroy()
  }

  private onData(chunk: Buffer): void {
    if (this.firstMs === 0) this.firstMs = performance.now() - this.startedMs
    if (this.awaited === -1) this.readHead(chunk)
    this.received += chunk.length
    const whole = this.chunked
      ? chunk.toString('latin1', Math.max(0, chunk.length - 5)) === '0\r\n\r\n'
      : this.received >= this.awaited
    if (whole) this.run.finished(this, performance.now() - this.startedMs, this.firstMs, this.ok)
  }

  private readHead(chunk: Buffer): void {
    const end = chunk.indexOf('\r\n\r\n')
    const head = chunk.toString('latin1', 0, end)
    this.ok = head.startsWith('HTTP/1.1 200')
    this.chunked = /\r\ntransfer-encoding: chunked/i.test(head)
    const length = /\r\ncontent-length: (\d+)/i.exec(head)
    this.awaited = end + 4 + Number(length?.[1] ?? 0)
  }
}
