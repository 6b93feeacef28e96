import { GatewayError } from '../../errors/gateway-error.ts'
import { headField, type RequestHead } from './request-head.ts'

/** What RFC 2046 allows, without the space and the characters that only some readers take unquoted. */
const BOUNDARY = /^[0-9A-Za-z'()+_,\-./:=?]{1,70}$/
const PARAMETER = /^[ \t]*([0-9A-Za-z_-]+)=(?:"([^"\\]*)"|([^\s";,]+))[ \t]*$/

/**
 * The boundary of a form; null when the body is no form. Throws when it cannot be told without doubt: a second reader
 * behind this one must split the body in the same places.
 */
export function formBoundary(head: RequestHead): string | null {
  const type = headField(head, 'content-type') ?? ''
  const [media = '', ...parameters] = type.split(';')
  const name = media.trim().toLowerCase()
  if (!name.startsWith('multipart/')) return null
  if (name !== 'multipart/form-data') {
    throw new GatewayError('unsupported_media_type', 'Of multipart bodies only forms are accepted.')
  }
  let boundary: string | null = null
  for (const parameter of parameters) {
    const match = PARAMETER.exec(parameter)
    if (match === null) throw badBoundary('has a parameter that cannot be read')
    if (match[1]?.toLowerCase() !== 'boundary') continue
    if (boundary !== null) throw badBoundary('has two boundaries')
    boundary = match[2] ?? match[3] ?? ''
  }
  if (boundary === null) throw badBoundary('has no boundary')
  if (!BOUNDARY.test(boundary)) throw badBoundary('has a boundary that is not accepted')
  return boundary
}

function badBoundary(problem: string): GatewayError {
  return new GatewayError('invalid_request', `The content type of the form ${problem}.`)
}
