import type { Duplex } from 'node:stream'
import { STATUS_CODES } from 'node:http'
import { connectionOf } from './connections.ts'

type ParserError = NodeJS.ErrnoException & { readonly bytesParsed?: number }

/**
 * What the parser refused, as an answer: always JSON, always the last thing on the connection.
 *
 * While another answer is under way the connection is cut instead, since these bytes would become a part of it.
 */
export function answerBrokenConnection(error: ParserError, socket: Duplex): void {
  const connection = connectionOf(socket)
  const busy = connection.openAnswers > 0 || connection.closing
  connection.closing = true
  if (error.code === 'ECONNRESET' || !socket.writable || busy) return void socket.destroy()
  const { status, message } = describe(error.code ?? '')
  const body = JSON.stringify({
    error: { message, type: 'invalid_request_error', param: null, code: codeOf(status) },
  })
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
}

function describe(code: string): { status: number; message: string } {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return { status: 431, message: 'The header fields are too large.' }
  }
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') {
    return { status: 413, message: 'The chunk extensions are too large.' }
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return { status: 408, message: 'The request arrived too slowly.' }
  }
  return { status: 400, message: 'The request is not valid HTTP.' }
}

function codeOf(status: number): string {
  if (status === 431) return 'headers_too_large'
  if (status === 413) return 'body_too_large'
  return status === 408 ? 'request_timeout' : 'malformed_http'
}
