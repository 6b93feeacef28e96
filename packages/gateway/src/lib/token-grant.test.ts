import { generateKeyPairSync, verify } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { parseTokenGrant } from './token-grant.ts'

const { privateKey, publicKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
})
const ACCOUNT = {
  type: 'service_account',
  client_email: 'a@b.iam',
  private_key: privateKey,
  private_key_id: 'kid-1',
  token_uri: 'https://tokens.example/token',
}

const grantOf = (account: unknown) => parseTokenGrant(JSON.stringify(account), 'the-scope')

function decoded(part: string | undefined): unknown {
  return JSON.parse(Buffer.from(part ?? '', 'base64url').toString())
}

describe('parseTokenGrant', () => {
  it('signs an assertion of a service account that its public key confirms', () => {
    const grant = grantOf(ACCOUNT)
    expect(grant?.url.href).toBe('https://tokens.example/token')
    const form = new URLSearchParams(grant?.form(1_700_000_000_500))
    expect(form.get('grant_type')).toBe('urn:ietf:params:oauth:grant-type:jwt-bearer')
    const [header, claims, signature] = (form.get('assertion') ?? '').split('.')
    expect(decoded(header)).toEqual({ alg: 'RS256', typ: 'JWT', kid: 'kid-1' })
    expect(decoded(claims)).toEqual({
      iss: 'a@b.iam',
      scope: 'the-scope',
      aud: 'https://tokens.example/token',
      iat: 1_700_000_000,
      exp: 1_700_003_600,
    })
    const bytes = Buffer.from(`${header}.${claims}`)
    expect(verify('sha256', bytes, publicKey, Buffer.from(signature ?? '', 'base64url'))).toBe(true)
  })

  it('takes the login of a user', () => {
    const user = { type: 'authorized_user', client_id: 'i', client_secret: 's', refresh_token: 'r' }
    const grant = grantOf(user)
    expect(grant?.url.href).toBe('https://oauth2.googleapis.com/token')
    expect(grant?.form(0)).toBe(
      'grant_type=refresh_token&client_id=i&client_secret=s&refresh_token=r',
    )
  })

  it('leaves a token alone', () => {
    expect(parseTokenGrant('ya29.token', 'the-scope')).toBeNull()
  })

  it.each([
    [{ ...ACCOUNT, type: 'external_account' }, 'type'],
    [{ ...ACCOUNT, client_email: undefined }, 'client_email'],
    [{ ...ACCOUNT, private_key: 'SECRET' }, 'private_key'],
    [{ ...ACCOUNT, token_uri: 'http://tokens.example/' }, 'token_uri'],
    [{ ...ACCOUNT, token_uri: 'file:///etc/passwd' }, 'token_uri'],
  ])('refuses %j without quoting it', (account, what) => {
    expect(() => grantOf(account)).toThrow(what)
    expect(() => grantOf(account)).not.toThrow('SECRET')
  })

  it('refuses broken JSON without quoting it', () => {
    expect(() => parseTokenGrant('{"private_key": SECRET', 'x')).toThrow('not valid JSON')
  })
})
