import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../../errors/gateway-error.ts'

/** What the head of a request says, after the checks that the parser leaves to us. */
export type RequestHead = {
  readonly method: string
  /** Without the query. Never decoded or normalised: a path either is one of ours or is not. */
  readonly path: string
  /** With its `?`, or `''`. */
  readonly query: string
  /** Lower-case names and values in turn, as they came. */
  readonly fields: readonly string[]
  /** The one distinct credential that the client presents; null when there is none, `''` (nobody's) when there are several. */
  readonly credential: string | null
  /** Null: chunked, or no body. */
  readonly contentLength: number | null
  readonly hasBody: boolean
  readonly wantsUpgrade: boolean
}

/** More fields than any client sends; the parser bounds their bytes. */
const MAX_FIELDS = 200
const HOST = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/
const METHOD = /^[A-Z]+$/

/** Names that must stand alone: two of them let two readers see two requests. */
const SINGLE = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'authorization',
  'x-api-key',
  'api-key',
  'x-goog-api-key',
  'content-type',
  'expect',
])
const CREDENTIALS = new Set(['authorization', 'x-api-key', 'api-key', 'x-goog-api-key'])

/**
 * Reads the raw field list once, strictly. Throws `malformed_http` or `headers_too_large`; the connection is then closed.
 *
 * Hot: runs once per request.
 */
export function readRequestHead(req: IncomingMessage): RequestHead {
  const raw = req.rawHeaders
  if (raw.length > MAX_FIELDS * 2) {
    throw new GatewayError('headers_too_large', `More than ${MAX_FIELDS} header fields.`)
  }
  const draft = new HeadDraft()
  for (let i = 0; i < raw.length; i += 2) draft.add((raw[i] ?? '').toLowerCase(), raw[i + 1] ?? '')
  draft.checkFraming(req.httpVersion)
  const method = req.method ?? ''
  if (!METHOD.test(method)) throw malformed('The method is not valid.')
  const { path, query } = splitTarget(req.url ?? '', draft.host)
  return {
    method,
    path,
    query,
    fields: draft.fields,
    credential: draft.credentials > 1 ? '' : draft.credential,
    contentLength: draft.contentLength,
    hasBody: draft.chunked || (draft.contentLength ?? 0) > 0,
    wantsUpgrade: draft.upgrade,
  }
}

/** The value of a field; null when absent. */
export function headField({ fields }: RequestHead, name: string): string | null {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return fields[i + 1] ?? null
  return null
}

function hasField(fields: readonly string[], name: string): boolean {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return true
  return false
}

/** The head with a key that may stand in the query too. Two different keys are nobody's. */
export function withQueryCredential(head: RequestHead, name: string | undefined): RequestHead {
  if (name === undefined || head.query === '') return head
  const keys = new Set(new URLSearchParams(head.query).getAll(name))
  keys.delete('')
  if (keys.size === 0) return head
  if (head.credential !== null) keys.add(head.credential)
  const [key = ''] = keys
  return { ...head, credential: keys.size === 1 ? key : '' }
}

class HeadDraft {
  readonly fields: string[] = []
  host: string | null = null
  credential: string | null = null
  credentials = 0
  contentLength: number | null = null
  chunked = false
  upgrade = false

  add(name: string, value: string): void {
    if (SINGLE.has(name)) {
      if (hasField(this.fields, name)) throw malformed(`More than one ${name} field.`)
      this.addSingle(name, value)
    } else if (name === 'upgrade') this.upgrade = true
    else if (name.includes('_') && SINGLE.has(name.replaceAll('_', '-'))) {
      throw malformed(`The field name ${name} is not accepted.`)
    }
    this.fields.push(name, value)
  }

  checkFraming(httpVersion: string): void {
    if (httpVersion !== '1.1' && httpVersion !== '1.0') throw malformed('HTTP 1.1 is served here.')
    if (this.chunked && httpVersion === '1.0') throw malformed('HTTP 1.0 has no chunked bodies.')
    if (this.chunked && this.contentLength !== null) {
      throw malformed('Both content-length and transfer-encoding are given.')
    }
    if (this.host === null && httpVersion === '1.1') throw malformed('The host field is missing.')
    if (this.host !== null && !HOST.test(this.host)) throw malformed('The host field is not valid.')
  }

  private addSingle(name: string, value: string): void {
    if (name === 'host') this.host = value
    else if (CREDENTIALS.has(name)) this.addCredential(value)
    else if (name === 'content-length') {
      if (!/^\d{1,15}$/.test(value)) throw malformed('The content-length is not valid.')
      this.contentLength = Number(value)
    } else if (name === 'transfer-encoding') {
      if (value.trim().toLowerCase() !== 'chunked') {
        throw malformed('Only the chunked transfer coding is served.')
      }
      this.chunked = true
    }
  }

  /** `Bearer x`, a raw `x`, or the same key in two fields (Claude Code sends both) count as one credential. */
  private addCredential(value: string): void {
    const key = /^bearer +/i.test(value) ? value.replace(/^bearer +/i, '').trim() : value.trim()
    if (key === '' || key === this.credential) return
    this.credential = key
    this.credentials++
  }
}

/** Origin-form only, or the absolute form of this very host. */
function splitTarget(target: string, host: string | null): { path: string; query: string } {
  let rest = target
  if (!rest.startsWith('/')) {
    const prefix = `http://${host ?? ''}/`
    if (!rest.toLowerCase().startsWith(prefix.toLowerCase())) {
      throw malformed('The request target is not a path.')
    }
    rest = rest.slice(prefix.length - 1)
  }
  if (rest.includes('#')) throw malformed('The request target holds a fragment.')
  const mark = rest.indexOf('?')
  if (mark === -1) return { path: rest, query: '' }
  return { path: rest.slice(0, mark), query: rest.slice(mark) }
}

function malformed(problem: string): GatewayError {
  return new GatewayError('malformed_http', problem)
}
