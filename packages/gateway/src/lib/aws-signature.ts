import { createHmac, hash } from 'node:crypto'

const ALGORITHM = 'AWS4-HMAC-SHA256'

export type AwsCredentials = {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Null for keys that do not expire. */
  readonly sessionToken: string | null
}

export type AwsScope = { readonly region: string; readonly service: string }

/** What is signed. The body must be the bytes that are sent. */
export type SignedParts = {
  readonly method: string
  readonly host: string
  /** Path and query as they are sent. */
  readonly path: string
  readonly contentType: string | null
  readonly body: Buffer | string
}

/**
 * Signs requests with AWS Signature Version 4.
 *
 * The path is encoded once more for the signature than it is sent, as every service but S3 wants it.
 *
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html (from general knowledge; the tests hold
 * examples of AWS's own suite)
 */
export class AwsSigner {
  private readonly credentials: AwsCredentials
  private readonly scope: AwsScope
  /** The key of one day: deriving it is most of the work. */
  private day = ''
  private key: Buffer = Buffer.alloc(0)

  constructor(credentials: AwsCredentials, scope: AwsScope) {
    this.credentials = credentials
    this.scope = scope
  }

  /** Names and values in turn of the fields that the request gets besides. */
  sign(parts: SignedParts, nowMs: number): string[] {
    const { accessKeyId, sessionToken } = this.credentials
    const time = new Date(nowMs).toISOString().replace(/[-:]|\.\d{3}/g, '')
    const day = time.slice(0, 8)
    const fields = signedFields(parts, time, sessionToken)
    const names = fields.map(([name]) => name).join(';')
    const scope = `${day}/${this.scope.region}/${this.scope.service}/aws4_request`
    const request = canonicalRequest(parts, fields, names)
    const text = `${ALGORITHM}\n${time}\n${scope}\n${hash('sha256', request, 'hex')}`
    const signature = createHmac('sha256', this.keyOf(day)).update(text).digest('hex')
    const credential = `Credential=${accessKeyId}/${scope}`
    const signed = [
      'x-amz-date',
      time,
      'authorization',
      `${ALGORITHM} ${credential}, SignedHeaders=${names}, Signature=${signature}`,
    ]
    return sessionToken === null ? signed : [...signed, 'x-amz-security-token', sessionToken]
  }

  private keyOf(day: string): Buffer {
    if (this.day === day) return this.key
    let key: Buffer = Buffer.from(`AWS4${this.credentials.secretAccessKey}`)
    for (const part of [day, this.scope.region, this.scope.service, 'aws4_request']) {
      key = createHmac('sha256', key).update(part).digest()
    }
    this.day = day
    this.key = key
    return key
  }
}

/** In the order of their names. */
function signedFields(
  { host, contentType }: SignedParts,
  time: string,
  sessionToken: string | null,
): readonly (readonly [string, string])[] {
  const fields: [string, string][] = []
  if (contentType !== null) fields.push(['content-type', contentType.trim()])
  fields.push(['host', host], ['x-amz-date', time])
  if (sessionToken !== null) fields.push(['x-amz-security-token', sessionToken])
  return fields
}

function canonicalRequest(
  { method, path, body }: SignedParts,
  fields: readonly (readonly [string, string])[],
  names: string,
): string {
  const at = path.indexOf('?')
  const plain = at === -1 ? path : path.slice(0, at)
  const query = at === -1 ? '' : canonicalQuery(path.slice(at + 1))
  const lines = fields.map(([name, value]) => `${name}:${value}\n`).join('')
  const encoded = plain.split('/').map(encode).join('/')
  return `${method}\n${encoded}\n${query}\n${lines}\n${names}\n${hash('sha256', body, 'hex')}`
}

/** Sorted by name, then by value, each encoded by AWS's rules. */
function canonicalQuery(query: string): string {
  const pairs: (readonly [string, string])[] = []
  for (const [name, value] of new URLSearchParams(query)) pairs.push([encode(name), encode(value)])
  pairs.sort(([a, x], [b, y]) => (a === b ? compare(x, y) : compare(a, b)))
  return pairs.map(([name, value]) => `${name}=${value}`).join('&')
}

function compare(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

/** All but letters, digits and `-._~`. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => {
    return `%${char.charCodeAt(0).toString(16).toUpperCase()}`
  })
}

/** `id:secret` or `id:secret:session token`; null when the text is of another form, such as an API key of a service. */
export function parseAwsCredentials(text: string): AwsCredentials | null {
  const match = /^([A-Z0-9]{16,128}):([^:\s]+)(?::(\S+))?$/.exec(text)
  if (match === null) return null
  const [, accessKeyId = '', secretAccessKey = '', sessionToken = null] = match
  return { accessKeyId, secretAccessKey, sessionToken }
}
