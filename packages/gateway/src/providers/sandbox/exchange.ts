import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Ask } from './ask.ts'
import type { Bill } from './bill.ts'
import type { CountTexts } from './count-input.ts'
import { errorBody, errorHeaders, type VendorError } from './vendor-errors.ts'

/** What all calls of one sandbox share. */
export type Sandbox = {
  readonly bill: Bill
  readonly count: CountTexts
  readonly tokenMs: number
}

/** One request, wholly read. */
export type Exchange = {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly path: string
  readonly body: Buffer
  readonly requestId: string
  readonly receivedAtMs: number
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    ...headers,
  })
  response.end(body)
}

/** Sent with every answer. The rate headers and the cookie belong to the shared account: a gateway must not pass them. */
export function answerHeaders(
  protocol: Ask['protocol'],
  requestId: string,
): Readonly<Record<string, string>> {
  const shared = { 'x-request-id': requestId, 'set-cookie': '__cf_bm=sandbox; path=/; HttpOnly' }
  if (protocol === 'gemini') return { ...shared, 'server-timing': 'gfet4t7; dur=1' }
  return protocol === 'anthropic-messages'
    ? { ...shared, 'request-id': requestId, 'anthropic-ratelimit-requests-remaining': '9999' }
    : { ...shared, 'openai-processing-ms': '1', 'x-ratelimit-remaining-requests': '9999' }
}

export function sendError(exchange: Exchange, protocol: Ask['protocol'], error: VendorError): void {
  const { requestId, response } = exchange
  sendJson(response, error.status, errorBody(protocol, error, requestId), {
    ...answerHeaders(protocol, requestId),
    ...errorHeaders(protocol, error),
  })
}

/** The gateway's own id of the call, so that its ledger and this bill can be joined. */
export function gatewayRequestId(request: IncomingMessage): string | null {
  const value = request.headers['x-request-id']
  return typeof value === 'string' ? value : null
}
