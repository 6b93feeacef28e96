import { readFileSync, writeFileSync } from 'node:fs'

/** One call to a provider, as it went over the wire, with every secret masked. */
export type Interaction = {
  readonly request: {
    readonly method: string
    readonly path: string
    readonly headers: Readonly<Record<string, string>>
    readonly body: string
  }
  readonly response: {
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    /** Base64, in the pieces in which they came. `afterMs`: since the piece before; the first since the request. */
    readonly chunks: readonly { readonly afterMs: number; readonly base64: string }[]
    /** The provider broke the answer off. */
    readonly broken: boolean
  }
}

export type Cassette = { readonly version: 1; readonly interactions: readonly Interaction[] }

export const MASK = '***'

/** Headers that hold a credential or tell an account, whatever their value. */
const SECRET_HEADERS =
  /^(?:authorization|proxy-authorization|cookie|set-cookie|x-api-key|api-key|x-goog-api-key|x-amz-security-token|(?:openai|anthropic)-(?:organization|project)(?:-id)?)$/
const SECRET_QUERY = /([?&](?:key|api_key|api-key|access_token)=)[^&]*/g
/** Only this process's business: connection, length and time of the recording. */
const VOLATILE_HEADERS = /^(?:host|connection|keep-alive|date|content-length|transfer-encoding)$/

/** What may be saved of headers. `secrets`: values to mask wherever they stand. */
export function maskHeaders(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
  secrets: readonly string[],
): Readonly<Record<string, string>> {
  const masked: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || VOLATILE_HEADERS.test(name)) continue
    const text = typeof value === 'string' ? value : value.join(', ')
    masked[name] = SECRET_HEADERS.test(name) ? MASK : maskText(text, secrets)
  }
  return masked
}

export function maskText(text: string, secrets: readonly string[]): string {
  return secrets.reduce((left, secret) => left.replaceAll(secret, MASK), text)
}

export function maskPath(path: string, secrets: readonly string[]): string {
  return maskText(path.replace(SECRET_QUERY, `$1${MASK}`), secrets)
}

/** Throws rather than writing a secret, such as one that came cut in two. */
export function saveCassette(
  file: string,
  cassette: Cassette,
  secrets: readonly string[] = [],
): void {
  for (const { request, response } of cassette.interactions) {
    const answer = Buffer.concat(response.chunks.map(({ base64 }) => Buffer.from(base64, 'base64')))
    const text = JSON.stringify([request, response.headers]) + answer.toString('latin1')
    if (secrets.some((secret) => text.includes(secret))) {
      throw new Error(`a secret would be saved: ${request.method} ${request.path}`)
    }
  }
  writeFileSync(file, `${JSON.stringify(cassette, null, 2)}\n`)
}

export function loadCassette(file: string): Cassette {
  const cassette: Cassette = JSON.parse(readFileSync(file, 'utf8'))
  if (cassette.version !== 1) throw new Error(`${file} is a cassette of another version`)
  return cassette
}
