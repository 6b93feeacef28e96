/**
 * Longest run of letters, spaces or punctuation that goes to a tokenizer in one piece. UTF-16 units.
 *
 * Byte-pair merging is quadratic in the length of such a run: 100 KB of spaces take seconds in every library.
 */
const MAX_RUN_LENGTH = 256

const OTHER = 0
const LETTER = 1
const SPACE = 2
const DIGIT = 3
const MARK = 4

const ASCII_CLASSES = Uint8Array.from({ length: 128 }, (_, code) => {
  const char = String.fromCharCode(code)
  if (/[a-z]/i.test(char)) return LETTER
  if (/\s/.test(char)) return SPACE
  return /\d/.test(char) ? DIGIT : MARK
})

/**
 * Cuts a text inside every run of one class that is longer than `MAX_RUN_LENGTH`; joined, the parts are the text.
 *
 * A text without such runs comes back whole, so its count stays exact. Linear in the length of the text.
 */
export function splitLongRuns(text: string): readonly string[] {
  return mayHaveLongRun(text) ? splitRuns(text) : [text]
}

/** Cheap and only one-sided: what is beyond ASCII counts for every class. */
function mayHaveLongRun(text: string): boolean {
  if (text.length <= MAX_RUN_LENGTH) return false
  let letters = 0
  let spaces = 0
  let marks = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    const kind = code < 128 ? ASCII_CLASSES[code] : OTHER
    letters = kind === LETTER || kind === OTHER ? letters + 1 : 0
    spaces = kind === SPACE || kind === OTHER ? spaces + 1 : 0
    marks = kind === MARK || kind === OTHER ? marks + 1 : 0
    if (letters > MAX_RUN_LENGTH || spaces > MAX_RUN_LENGTH || marks > MAX_RUN_LENGTH) return true
  }
  return false
}

/** The classes of the o200k and cl100k pre-tokenizers; digits never run long there. */
const RUNS = /[\p{L}\p{M}]+|[^\s\p{L}\p{N}]+|\s+|\p{N}+/gu

function splitRuns(text: string): readonly string[] {
  const parts: string[] = []
  let from = 0
  for (const { 0: run, index } of text.matchAll(RUNS)) {
    for (let at = MAX_RUN_LENGTH; at < run.length; at += MAX_RUN_LENGTH) {
      const cut = index + at - (isHighSurrogate(text.charCodeAt(index + at - 1)) ? 1 : 0)
      parts.push(text.slice(from, cut))
      from = cut
    }
  }
  parts.push(text.slice(from))
  return parts
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff
}
