import {
  createServer,
  type IncomingMessage,
  request as httpRequest,
  type ServerResponse,
} from 'node:http'
import { request as httpsRequest } from 'node:https'
import { closing, listen } from './serve.ts'
import { type Interaction, maskHeaders, maskPath, maskText, saveCassette } from './cassette.ts'

export type Recorder = {
  /** The base URL to give to the gateway instead of the provider's. */
  readonly url: string
  readonly interactions: readonly Interaction[]
  save(file: string): void
  close(): Promise<void>
}

/**
 * A proxy between the gateway and a real provider that keeps what passes: bytes, pieces and pauses.
 *
 * `secrets`: values that must not be saved, besides what credential headers hold. The gateway's own credential passes to
 * the provider as it is.
 */
export async function startRecorder(options: {
  readonly upstream: string
  readonly secrets?: readonly string[]
}): Promise<Recorder> {
  const { upstream, secrets = [] } = options
  const interactions: Interaction[] = []
  const server = createServer((req, res) => {
    void keep(req, res)
  })
  async function keep(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const passed = await pass(req, res, upstream)
    if (passed !== null) interactions.push(masked(req, passed, secrets))
  }
  return {
    url: await listen(server),
    interactions,
    save: (file) => saveCassette(file, { version: 1, interactions }, secrets),
    close: () => closing(server),
  }
}

type Passed = {
  readonly body: Buffer
  readonly answer: IncomingMessage
  readonly pieces: readonly { readonly afterMs: number; readonly bytes: Buffer }[]
}

/** One call through to the provider and back; null when the provider could not be reached. */
async function pass(
  req: IncomingMessage,
  res: ServerResponse,
  upstream: string,
): Promise<Passed | null> {
  const body = await readAll(req)
  const target = new URL((req.url ?? '/').replace(/^\//, ''), `${upstream.replace(/\/$/, '')}/`)
  const send = target.protocol === 'https:' ? httpsRequest : httpRequest
  const headers = { ...req.headers, host: target.host }
  return new Promise((resolve) => {
    const sentMs = performance.now()
    const call = send(target, { method: req.method ?? 'GET', headers }, (answer) => {
      void copy(answer, res, sentMs).then((pieces) => resolve({ body, answer, pieces }))
    })
    call.on('error', () => {
      res.destroy()
      resolve(null)
    })
    res.on('close', () => call.destroy())
    call.end(body)
  })
}

async function copy(
  answer: IncomingMessage,
  res: ServerResponse,
  sentMs: number,
): Promise<Passed['pieces']> {
  const pieces: { afterMs: number; bytes: Buffer }[] = []
  let lastMs = sentMs
  res.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
  try {
    for await (const bytes of answer) {
      const nowMs = performance.now()
      pieces.push({ afterMs: Math.round(nowMs - lastMs), bytes })
      lastMs = nowMs
      res.write(bytes)
    }
    res.end()
  } catch {
    res.destroy()
  }
  return pieces
}

function masked(
  req: IncomingMessage,
  { body, answer, pieces }: Passed,
  secrets: readonly string[],
): Interaction {
  return {
    request: {
      method: req.method ?? 'GET',
      path: maskPath(req.url ?? '/', secrets),
      headers: maskHeaders(req.headers, secrets),
      body: maskText(body.toString('utf8'), secrets),
    },
    response: {
      status: answer.statusCode ?? 502,
      headers: maskHeaders(answer.headers, secrets),
      chunks: pieces.map(({ afterMs, bytes }) => {
        const text = maskText(bytes.toString('latin1'), secrets)
        return { afterMs, base64: Buffer.from(text, 'latin1').toString('base64') }
      }),
      broken: !answer.complete,
    },
  }
}

async function readAll(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of req) chunks.push(chunk)
  return Buffer.concat(chunks)
}
