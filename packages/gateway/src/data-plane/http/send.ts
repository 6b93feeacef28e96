import type { ServerResponse } from 'node:http'

/** Sends a whole answer. `headers`: names and values in turn, without the length. */
export function send(
  response: ServerResponse,
  status: number,
  headers: string[],
  body: Buffer,
): void {
  if (response.destroyed) return
  headers.push('content-length', String(body.length))
  response.writeHead(status, headers)
  response.end(body)
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  send(response, status, ['content-type', 'application/json'], Buffer.from(text))
}
