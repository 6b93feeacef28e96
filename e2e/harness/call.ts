import type { Agent } from 'node:http'
import { type IncomingHttpHeaders, request } from 'node:http'

export type CallOptions = {
  readonly key?: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON unless it is a text or bytes. */
  readonly body?: unknown
  /** Leaves once this many bytes of the answer's body have come. */
  readonly abortAfterBytes?: number
  /** Leaves after so much time, whatever has come. */
  readonly abortAfterMs?: number
  readonly agent?: Agent
}

export type CallAnswer = {
  /** 0: no answer at all. */
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The answer came to its proper end at the HTTP level. */
  readonly whole: boolean
  /** We left. */
  readonly aborted: boolean
  readonly requestId: string
  readonly ms: number
}

/** One request with nothing of a client library in between. Never rejects. */
export function call(url: string, options: CallOptions = {}): Promise<CallAnswer> {
  const startedMs = performance.now()
  return new Promise((resolve) => {
    const parts: Buffer[] = []
    const state = { status: 0, headers: {} as IncomingHttpHeaders, aborted: false, bytes: 0 }
    let timer: NodeJS.Timeout | undefined
    const finish = (whole: boolean): void => {
      clearTimeout(timer)
      resolve({
        status: state.status,
        headers: state.headers,
        text: Buffer.concat(parts).toString(),
        whole,
        aborted: state.aborted,
        requestId: String(state.headers['x-request-id'] ?? ''),
        ms: performance.now() - startedMs,
      })
    }
    const req = request(url, {
      method: options.method ?? 'POST',
      agent: options.agent ?? false,
      headers: headersOf(options),
    })
    const leave = (): void => {
      state.aborted = true
      req.destroy()
    }
    req.on('error', () => finish(false))
    req.on('response', (res) => {
      state.status = res.statusCode ?? 0
      state.headers = res.headers
      res.on('data', (chunk: Buffer) => {
        parts.push(chunk)
        state.bytes += chunk.length
        if (state.bytes >= (options.abortAfterBytes ?? Infinity)) leave()
      })
      res.on('end', () => finish(res.complete && !state.aborted))
      res.on('error', () => finish(false))
      res.on('close', () => finish(false))
    })
    if (options.abortAfterMs !== undefined) timer = setTimeout(leave, options.abortAfterMs)
    req.end(bodyOf(options.body))
  })
}

function headersOf({ key, headers, body }: CallOptions): Record<string, string | number> {
  const bytes = bodyOf(body)
  return {
    'content-type': 'application/json',
    ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    ...(bytes === undefined ? {} : { 'content-length': Buffer.byteLength(bytes) }),
    ...headers,
  }
}

function bodyOf(body: unknown): string | Buffer | undefined {
  if (body === undefined || typeof body === 'string' || Buffer.isBuffer(body)) return body
  return JSON.stringify(body)
}

export type Ask = {
  readonly protocol?: 'openai' | 'anthropic'
  readonly model: string
  readonly text?: string
  readonly stream?: boolean
  readonly maxTokens?: number | null
  readonly extra?: Readonly<Record<string, unknown>>
}

/** Path and body of one chat call in either protocol. Messages needs a cap: 1,000 unless said. */
export function askOf(ask: Ask): { readonly path: string; readonly body: object } {
  const { protocol = 'openai', model, text = 'hello', stream = false, maxTokens = null } = ask
  const messages = [{ role: 'user', content: text }]
  const shared = { model, messages, ...(stream ? { stream } : {}), ...ask.extra }
  if (protocol === 'anthropic') {
    return { path: '/v1/messages', body: { max_tokens: maxTokens ?? 1000, ...shared } }
  }
  const cap = maxTokens === null ? {} : { max_tokens: maxTokens }
  return { path: '/v1/chat/completions', body: { ...cap, ...shared } }
}

/** Bytes that no other run sees are one seed away: every random choice of a test comes from here. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Runs the jobs, at most `width` at a time. */
export async function inParallel<T>(
  jobs: readonly (() => Promise<T>)[],
  width: number,
): Promise<readonly T[]> {
  const results: T[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    for (let index = next++; index < jobs.length; index = next++) {
      const job = jobs[index]
      if (job !== undefined) results[index] = await job()
    }
  }
  await Promise.all(Array.from({ length: width }, worker))
  return results
}
