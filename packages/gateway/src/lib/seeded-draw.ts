const FNV_OFFSET = 0x811c9dc5
const FNV_PRIME = 0x01000193
const GOLDEN = 0x9e3779b9
const TWO_POW_32 = 4_294_967_296

/** A number of 32 bits that stands for a text: the same text, the same number. Not for secrets. */
export function seedOf(text: string): number {
  let hash = FNV_OFFSET
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), FNV_PRIME)
  }
  return mixed(hash)
}

/**
 * The draw of this number under a seed, uniform in (0, 1), never 0 or 1.
 *
 * Without a state: the same seed and number draw the same, in whatever order they are asked for.
 */
export function drawAt(seed: number, number: number): number {
  return (mixed(mixed(seed + Math.imul(number + 1, GOLDEN)) ^ seed) + 0.5) / TWO_POW_32
}

/** Every bit of the input changes about half of the output's. As an unsigned number. */
function mixed(value: number): number {
  let x = value ^ (value >>> 16)
  x = Math.imul(x, 0x7feb352d)
  x ^= x >>> 15
  x = Math.imul(x, 0x846ca68b)
  return (x ^ (x >>> 16)) >>> 0
}
