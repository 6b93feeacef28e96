import type { ClientAnswer } from './client-answer.ts'

/** Up to this size head and body go out as one write. Bytes. */
const ONE_WRITE_BYTES = 32 * 1024

/**
 * Sends a whole answer. `headers`: names and values in turn, without the length.
 *
 * As latin1 text a body keeps every byte, and Node joins it to the head instead of writing two pieces.
 */
export function send(
  response: ClientAnswer,
  status: number,
  headers: string[],
  body: Buffer,
): void {
  if (response.destroyed) return
  headers.push('content-length', String(body.length))
  response.writeHead(status, headers)
  if (body.length > ONE_WRITE_BYTES) response.end(body)
  else response.end(body.toString('latin1'), 'latin1')
}

export function sendJson(response: ClientAnswer, status: number, body: unknown): void {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  send(response, status, ['content-type', 'application/json'], Buffer.from(text))
}

/** What an ended answer still has to send is bounded in time: a client that takes nothing for this long is cut. */
export function cutWhenStalled(response: ClientAnswer, stalledMs: number): void {
  if (response.writableLength > 0) response.setTimeout(stalledMs, () => response.destroy())
}
