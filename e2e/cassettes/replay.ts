import { createServer, type ServerResponse } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { type Cassette, type Interaction, maskPath, maskText } from './cassette.ts'
import { closing, listen } from './serve.ts'

export type Replayer = {
  readonly url: string
  /** Requests that the cassette has no answer for: method, path, body. */
  readonly misses: readonly string[]
  /** Interactions that nobody asked for yet. */
  readonly left: () => number
  close(): Promise<void>
}

/**
 * Plays a cassette: the same request gets the recorded bytes in the recorded pieces.
 *
 * A request is the same when its method, path and body are; of several recordings the first that is left is played.
 * `speed`: how much faster than recorded; Infinity leaves the pauses out.
 */
export async function startReplayer(
  cassette: Cassette,
  options: { readonly speed?: number; readonly secrets?: readonly string[] } = {},
): Promise<Replayer> {
  const { speed = 1, secrets = [] } = options
  const left = [...cassette.interactions]
  const misses: string[] = []
  const server = createServer((req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      const body = maskText(Buffer.concat(chunks).toString('utf8'), secrets)
      const path = maskPath(req.url ?? '/', secrets)
      const at = left.findIndex(
        ({ request }) =>
          request.method === req.method && request.path === path && sameBody(request.body, body),
      )
      const [found] = at === -1 ? [] : left.splice(at, 1)
      if (found !== undefined) return void play(found, res, speed)
      misses.push(`${req.method} ${path} ${body}`)
      res.writeHead(404, { 'content-type': 'application/json' })
      res.end('{"error":{"message":"The cassette has no answer to this request."}}')
    })
  })
  return {
    url: await listen(server),
    misses,
    left: () => left.length,
    close: () => closing(server),
  }
}

async function play({ response }: Interaction, res: ServerResponse, speed: number): Promise<void> {
  res.writeHead(response.status, response.headers)
  for (const { afterMs, base64 } of response.chunks) {
    if (afterMs / speed >= 1) await pause(afterMs / speed)
    if (res.destroyed) return
    res.write(Buffer.from(base64, 'base64'))
  }
  if (response.broken) res.destroy()
  else res.end()
}

/** JSON in another order is the same request. */
function sameBody(recorded: string, asked: string): boolean {
  return recorded === asked || canonical(recorded) === canonical(asked)
}

function canonical(text: string): string {
  try {
    const value: unknown = JSON.parse(text)
    return JSON.stringify(value, (_key, part: unknown) =>
      typeof part === 'object' && part !== null && !Array.isArray(part)
        ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
        : part,
    )
  } catch {
    return text
  }
}
