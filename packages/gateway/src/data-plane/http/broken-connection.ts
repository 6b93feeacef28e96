import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Protocol } from '../../contracts/protocol.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { newRequestId } from '../../lib/sortable-id.ts'
import { connectionOf } from './connections.ts'

/** `rawPacket`: the bytes that the parser stopped in; absent when it waited too long for them. */
type ParserError = NodeJS.ErrnoException & {
  readonly bytesParsed?: number
  readonly rawPacket?: Buffer
}

/** The protocol whose clients send these fields to this path. */
type ProtocolOf = (fields: readonly string[], path: string) => Protocol

/**
 * What the parser refused, as an answer: in the protocol that the bytes suggest, and always the last thing on the
 * connection.
 *
 * While another answer is under way the connection is cut instead, since these bytes would become a part of it.
 */
export function answerBrokenConnection(
  error: ParserError,
  socket: Duplex,
  protocolOf: ProtocolOf,
): void {
  const connection = connectionOf(socket)
  const busy = connection.openAnswers > 0 || connection.closing
  connection.closing = true
  if (error.code === 'ECONNRESET' || !socket.writable || busy) return void socket.destroy()
  const { path, fields } = readHead(error)
  const requestId = newRequestId()
  const { status, headers, body } = protocolOf(fields, path).renderError(describe(error), requestId)
  const lines = Object.entries({
    ...headers,
    'x-request-id': requestId,
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
  }).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${body}`)
}

function describe({ code }: ParserError): GatewayError {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new GatewayError('headers_too_large', 'The header fields are too large.')
  }
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') {
    return new GatewayError('body_too_large', 'The chunk extensions are too large.')
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new GatewayError('request_timeout', 'The request arrived too slowly.')
  }
  return new GatewayError('malformed_http', 'The request is not valid HTTP.')
}

/** More than a head may have. */
const MAX_READ_BYTES = 64 * 1024
const REQUEST_LINE = /(?:^|\n)[A-Z]+ (\/[^\s?#]*)/g

/** The last head that begins before the fault, as far as it can be made out. It only chooses how the refusal looks. */
function readHead({ rawPacket, bytesParsed = MAX_READ_BYTES }: ParserError): {
  readonly path: string
  readonly fields: readonly string[]
} {
  if (rawPacket === undefined) return { path: '', fields: [] }
  const text = rawPacket.toString('latin1', 0, MAX_READ_BYTES)
  const line = [...text.matchAll(REQUEST_LINE)].findLast(({ index }) => index <= bytesParsed)
  if (line === undefined) return { path: '', fields: [] }
  const [head = ''] = text.slice(line.index + line[0].length).split('\r\n\r\n', 1)
  const fields = head.split('\n').flatMap((field) => {
    const colon = field.indexOf(':')
    return colon > 0 ? [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()] : []
  })
  return { path: line[1] ?? '', fields }
}
