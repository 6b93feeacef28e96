import { describe, expect, it } from 'vitest'
import { AwsSigner, parseAwsCredentials, type SignedParts } from './aws-signature.ts'

/** Credentials, scope and time of AWS's own suite of examples for Signature Version 4. */
const CREDENTIALS = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  sessionToken: null,
}
const SCOPE = { region: 'us-east-1', service: 'service' }
const AT_MS = Date.UTC(2015, 7, 30, 12, 36, 0)
const EMPTY = {
  method: 'GET',
  host: 'example.amazonaws.com',
  path: '/',
  contentType: null,
  body: '',
}

function signature(parts: Partial<SignedParts>): string {
  const fields = new AwsSigner(CREDENTIALS, SCOPE).sign({ ...EMPTY, ...parts }, AT_MS)
  return /Signature=([0-9a-f]{64})$/.exec(fields[3] ?? '')?.[1] ?? ''
}

describe('AwsSigner', () => {
  it('writes the fields of the published example get-vanilla', () => {
    expect(new AwsSigner(CREDENTIALS, SCOPE).sign(EMPTY, AT_MS)).toEqual([
      'x-amz-date',
      '20150830T123600Z',
      'authorization',
      'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
    ])
  })

  it.each<[string, Partial<SignedParts>, string]>([
    [
      'post-vanilla',
      { method: 'POST' },
      '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b',
    ],
    [
      'get-vanilla-query-order-key-case',
      { path: '/?Param2=value2&Param1=value1' },
      'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
    ],
    [
      'get-utf8',
      { path: '/ሴ' },
      '8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85',
    ],
    [
      'post-x-www-form-urlencoded',
      {
        method: 'POST',
        contentType: 'application/x-www-form-urlencoded',
        body: 'Param1=value1',
      },
      'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a',
    ],
  ])('signs the published example %s', (_name, parts, wanted) => {
    expect(signature(parts)).toBe(wanted)
  })

  it('signs a session token, and sends it', () => {
    const fields = new AwsSigner({ ...CREDENTIALS, sessionToken: 'AQoDtoken' }, SCOPE).sign(
      EMPTY,
      AT_MS,
    )
    expect(fields.slice(4)).toEqual(['x-amz-security-token', 'AQoDtoken'])
    expect(fields[3]).toContain('SignedHeaders=host;x-amz-date;x-amz-security-token,')
  })

  it('signs the path once more encoded than it is sent', () => {
    const sent = '/model/us.anthropic.claude-v1%3A0/converse'
    expect(signature({ path: sent })).not.toBe(signature({ path: decodeURIComponent(sent) }))
  })

  it('signs every byte of the body, and takes a new key each day', () => {
    const signer = new AwsSigner(CREDENTIALS, SCOPE)
    expect(signature({ body: 'a' })).not.toBe(signature({ body: 'b' }))
    signer.sign(EMPTY, AT_MS - 86_400_000)
    expect(signer.sign(EMPTY, AT_MS)[3]).toContain(signature({}))
  })
})

describe('parseAwsCredentials', () => {
  it.each([
    ['AKIAIOSFODNN7EXAMPLE:sec/ret+1', { sessionToken: null, secretAccessKey: 'sec/ret+1' }],
    ['ASIAIOSFODNN7EXAMPLE:secret:tok/en==', { sessionToken: 'tok/en==' }],
  ])('reads %s', (text, wanted) => {
    expect(parseAwsCredentials(text)).toMatchObject(wanted)
  })

  it.each([
    '',
    'ABSKQmVkcm9ja0FQSUtleS1abc=',
    'a:b',
    'AKIAIOSFODNN7EXAMPLE',
    'AKIAIOSFODNN7EXAMPLE:',
  ])('reads none in %j', (text) => {
    expect(parseAwsCredentials(text)).toBeNull()
  })
})
