import { hash } from 'node:crypto'

const BLOCK_BYTES = 64
const HASH_BYTES = 32
const INNER_PAD = 0x36
const OUTER_PAD = 0x5c
/** Most records are shorter. */
const USUAL_BYTES = 8 * 1024

/** A keyed hash of bytes and the text that follows them. */
export type KeyedHash = (before: Uint8Array, text: string) => Buffer

/**
 * HMAC-SHA-256 (RFC 2104) by two hashes of one call each. The streaming one of Node makes a native object with a finalizer for
 * each hash, which costs more than a record's hash itself.
 */
export function keyedHash(key: string): KeyedHash {
  const whole = Buffer.from(key)
  const short = whole.length > BLOCK_BYTES ? hash('sha256', whole, 'buffer') : whole
  const outer = Buffer.concat([padded(short, OUTER_PAD), Buffer.alloc(HASH_BYTES)])
  const pad = padded(short, INNER_PAD)
  let inner = room(pad, USUAL_BYTES)
  return (before, text) => {
    const start = BLOCK_BYTES + before.length
    const most = start + text.length * 3
    if (most > inner.length) inner = room(pad, most)
    inner.set(before, BLOCK_BYTES)
    const end = start + inner.write(text, start)
    hash('sha256', inner.subarray(0, end), 'buffer').copy(outer, BLOCK_BYTES)
    return hash('sha256', outer, 'buffer')
  }
}

function padded(key: Uint8Array, pad: number): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES, pad)
  for (const [index, byte] of key.entries()) block[index] = byte ^ pad
  return block
}

function room(pad: Buffer, bytes: number): Buffer {
  const made = Buffer.alloc(bytes)
  pad.copy(made)
  return made
}
