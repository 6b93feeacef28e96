import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { onClose } from './cleanup.ts'

/** How a fake provider answers one call. */
export type Manner = (response: ServerResponse, request: IncomingMessage) => void

export type FakeProvider = {
  readonly url: string
  readonly port: number
  /** When each call for a completion came. `performance.now()`. */
  readonly calls: number[]
  /** How often the list of models was asked for. */
  readonly probes: () => number
  manner: Manner
  /** Nothing listens any more. */
  readonly down: () => Promise<void>
  /** At the same port. */
  readonly up: () => Promise<void>
}

const WHOLE = JSON.stringify({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1,
  model: 'm',
  choices: [{ index: 0, message: { role: 'assistant', content: 'ok' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 5, completion_tokens: 1, total_tokens: 6 },
})

export const fine: Manner = (response) => {
  response.writeHead(200, { 'content-type': 'application/json' }).end(WHOLE)
}

export function refusing(
  status: number,
  headers: Readonly<Record<string, string>> = {},
  error: Readonly<Record<string, unknown>> = { message: `no ${status}` },
): Manner {
  return (response) => {
    response
      .writeHead(status, { 'content-type': 'application/json', ...headers })
      .end(JSON.stringify({ error }))
  }
}

/** Takes the call and says nothing. */
export const stalling: Manner = () => {}

/** A provider of chat completions whose manner can be changed. It counts every call. */
export async function startFakeProvider(manner: Manner = fine): Promise<FakeProvider> {
  let probes = 0
  const server = createServer((request, response) => {
    if (request.method === 'GET') {
      probes += 1
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"data":[]}')
      return
    }
    fake.calls.push(performance.now())
    request.resume().on('end', () => fake.manner(response, request))
  })
  const listen = (port: number): Promise<number> =>
    new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, '127.0.0.1', () => {
        server.off('error', reject)
        const address = server.address()
        resolve(typeof address === 'object' && address !== null ? address.port : port)
      })
    })
  const down = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  const port = await listen(0)
  const fake: FakeProvider = {
    url: `http://127.0.0.1:${port}`,
    port,
    calls: [],
    probes: () => probes,
    manner,
    down,
    up: async () => void (await listen(port)),
  }
  onClose(async () => {
    if (server.listening) await down()
  })
  return fake
}
