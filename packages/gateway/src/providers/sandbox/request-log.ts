/** What arrived, for tests that compare bytes. */
export type LoggedRequest = {
  readonly requestId: string
  readonly method: string
  readonly url: string
  /** Names and values as they came, alternating. */
  readonly rawHeaders: readonly string[]
  readonly body: Buffer
  readonly receivedAtMs: number
  /** When the connection of an unfinished answer was closed by the other side. */
  closedAtMs: number | null
}

export type RequestLog = {
  add(request: LoggedRequest): void
  /** Newest last; bodies in base64. */
  entries(): readonly Record<string, unknown>[]
  reset(): void
}

const MAX_ENTRIES = 256
const MAX_BYTES = 32 << 20

export function createRequestLog(): RequestLog {
  let kept: LoggedRequest[] = []
  let keptBytes = 0
  return {
    add(request) {
      kept.push(request)
      keptBytes += request.body.length
      while (kept.length > MAX_ENTRIES || (keptBytes > MAX_BYTES && kept.length > 1)) {
        keptBytes -= kept.shift()?.body.length ?? 0
      }
    },
    entries: () => kept.map(entry),
    reset() {
      kept = []
      keptBytes = 0
    },
  }
}

function entry(request: LoggedRequest): Record<string, unknown> {
  return {
    request_id: request.requestId,
    method: request.method,
    url: request.url,
    raw_headers: request.rawHeaders,
    body_base64: request.body.toString('base64'),
    received_at_ms: request.receivedAtMs,
    closed_at_ms: request.closedAtMs,
  }
}
