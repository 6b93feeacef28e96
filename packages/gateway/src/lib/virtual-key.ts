import { hash, randomBytes } from 'node:crypto'

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const SECRET_BYTES = 32
/** 62^43 > 2^256, so every secret has the same length. */
const SECRET_DIGITS = 43

const KEY_PREFIX = 'tkn_'

/** A new secret: `tkn_` and 32 random bytes in base62. */
export function newKeySecret(): string {
  return KEY_PREFIX + base62(randomBytes(SECRET_BYTES), SECRET_DIGITS)
}

/** `prefix` and 16 random base62 characters (95 bits). */
export function newPublicId(prefix: string): string {
  return prefix + base62(randomBytes(12), 17).slice(1)
}

const BLOCK_BYTES = 64
const pads = new Map<string, { readonly inner: Buffer; readonly outer: Buffer }>()

/**
 * HMAC-SHA-256 in lower-case hex. Hot: once per request.
 *
 * Written out over the one-shot hash, because a `createHmac` object costs three times as much (RFC 2104).
 */
export function hashKeySecret(hashKey: string, secret: string): string {
  const pad = padsOf(hashKey)
  const size = Buffer.byteLength(secret)
  const inner = Buffer.allocUnsafe(BLOCK_BYTES + size)
  pad.inner.copy(inner)
  inner.write(secret, BLOCK_BYTES)
  const outer = Buffer.allocUnsafe(BLOCK_BYTES + 32)
  pad.outer.copy(outer)
  hash('sha256', inner, 'buffer').copy(outer, BLOCK_BYTES)
  return hash('sha256', outer)
}

/** There are only as many hash keys as the operator has, so nothing is ever evicted. */
function padsOf(hashKey: string): { readonly inner: Buffer; readonly outer: Buffer } {
  let pad = pads.get(hashKey)
  if (pad === undefined) {
    const bytes = Buffer.from(hashKey)
    const key = bytes.length > BLOCK_BYTES ? hash('sha256', bytes, 'buffer') : bytes
    const block = Buffer.concat([key], BLOCK_BYTES)
    pad = {
      inner: Buffer.from(block.map((byte) => byte ^ 0x36)),
      outer: Buffer.from(block.map((byte) => byte ^ 0x5c)),
    }
    pads.set(hashKey, pad)
  }
  return pad
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
