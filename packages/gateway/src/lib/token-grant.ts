import { createPrivateKey, type KeyObject, sign } from 'node:crypto'
import { isRecord } from './is-record.ts'

/** How an access token is asked for (OAuth 2.0): the form to post, and where. */
export type TokenGrant = {
  readonly url: URL
  /** `nowMs`: wall clock. */
  readonly form: (nowMs: number) => string
}

/** @see https://developers.google.com/identity/protocols/oauth2/service-account (from general knowledge) */
const DEFAULT_TOKEN_URL = 'https://oauth2.googleapis.com/token'
const JWT_GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
/** The longest that is granted. */
const ASSERTION_SECONDS = 3600

/**
 * A grant from the JSON of a service account, or of a user's own login; null when the text is no JSON object, so that it
 * may be an access token. Throws an `Error` whose message holds nothing of the text.
 */
export function parseTokenGrant(text: string, scope: string): TokenGrant | null {
  if (!text.trimStart().startsWith('{')) return null
  const account = parseObject(text)
  const url = tokenUrl(account['token_uri'])
  switch (account['type']) {
    case 'service_account':
      return { url, form: serviceAccountForm(account, url, scope) }
    case 'authorized_user':
      return { url, form: userForm(account) }
    default:
      throw new Error('the credential is of a type that is not available in this version')
  }
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (isRecord(value)) return value
  } catch {
    // Told without the parser's words, which quote the text.
  }
  throw new Error('the credential is not valid JSON')
}

/** Plain HTTP only on this machine, for tests and proxies. */
function tokenUrl(value: unknown): URL {
  const text = typeof value === 'string' ? value : DEFAULT_TOKEN_URL
  const url = URL.canParse(text) ? new URL(text) : null
  const local = url?.protocol === 'http:' && url.hostname === '127.0.0.1'
  if (url === null || (url.protocol !== 'https:' && !local)) {
    throw new Error('token_uri of the credential is no https URL')
  }
  return url
}

function serviceAccountForm(
  account: Record<string, unknown>,
  url: URL,
  scope: string,
): TokenGrant['form'] {
  const email = textOf(account, 'client_email')
  const key = privateKey(textOf(account, 'private_key'))
  const keyId = account['private_key_id']
  const header = base64url({
    alg: 'RS256',
    typ: 'JWT',
    ...(typeof keyId === 'string' ? { kid: keyId } : {}),
  })
  return (nowMs) => {
    const issuedAt = Math.floor(nowMs / 1000)
    const claims = {
      iss: email,
      scope,
      aud: url.href,
      iat: issuedAt,
      exp: issuedAt + ASSERTION_SECONDS,
    }
    const signed = `${header}.${base64url(claims)}`
    const signature = sign('sha256', Buffer.from(signed), key).toString('base64url')
    return formText({ grant_type: JWT_GRANT, assertion: `${signed}.${signature}` })
  }
}

function userForm(account: Record<string, unknown>): TokenGrant['form'] {
  const form = formText({
    grant_type: 'refresh_token',
    client_id: textOf(account, 'client_id'),
    client_secret: textOf(account, 'client_secret'),
    refresh_token: textOf(account, 'refresh_token'),
  })
  return () => form
}

function privateKey(pem: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch {
    throw new Error('private_key of the credential cannot be read')
  }
}

function textOf(account: Record<string, unknown>, name: string): string {
  const value = account[name]
  if (typeof value === 'string' && value !== '') return value
  throw new Error(`${name} of the credential is missing`)
}

function base64url(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function formText(members: Readonly<Record<string, string>>): string {
  return new URLSearchParams(members).toString()
}
