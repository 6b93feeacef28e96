import { createHmac, randomBytes } from 'node:crypto'

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const SECRET_BYTES = 32
/** 62^43 > 2^256, so every secret has the same length. */
const SECRET_DIGITS = 43

export const KEY_PREFIX = 'tkn_'

/** A new secret: `tkn_` and 32 random bytes in base62. */
export function newKeySecret(): string {
  return KEY_PREFIX + base62(randomBytes(SECRET_BYTES), SECRET_DIGITS)
}

/** `prefix` and 16 random base62 characters (95 bits). */
export function newPublicId(prefix: string): string {
  return prefix + base62(randomBytes(12), 17).slice(1)
}

/** HMAC-SHA-256 in lower-case hex. Hot: once per request. */
export function hashKeySecret(hashKey: Buffer | string, secret: string): string {
  return createHmac('sha256', hashKey).update(secret).digest('hex')
}

function base62(bytes: Buffer, digits: number): string {
  let value = BigInt(`0x${bytes.toString('hex')}`)
  let text = ''
  for (let i = 0; i < digits; i++) {
    text = BASE62.charAt(Number(value % 62n)) + text
    value /= 62n
  }
  return text
}
