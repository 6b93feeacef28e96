import { randomBytes } from 'node:crypto'
import { createTokenCounter } from '../packages/gateway/src/tokenizers/token-counter.ts'
import { loadVocabulary } from '../packages/gateway/src/tokenizers/vocabulary.ts'

/** What counting costs: hostile texts in the worker's code, and memo hits on the main thread. */
const SENTENCE = 'The quick brown fox jumps over the lazy dog, and then it rests for 42 minutes. '
const MIB = 1 << 20

const TEXTS: Readonly<Record<string, string>> = {
  'prose, 1 MiB': SENTENCE.repeat(MIB / SENTENCE.length),
  'one letter, 1 MiB': 'a'.repeat(MIB),
  'random letters, 1 MiB': letters(MIB),
  'spaces, 100 KB': ' '.repeat(100_000),
  'new lines, 100 KB': '\n'.repeat(100_000),
  'punctuation, 1 MiB': '!?'.repeat(MIB / 2),
  'base64 of random bytes, 1 MiB': randomBytes((MIB * 3) / 4).toString('base64'),
  'random bytes as latin1, 1 MiB': randomBytes(MIB).toString('latin1'),
  'Chinese, 300 KB': '天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏'.repeat(4_000),
  'emoji, 400 KB': '👩‍👩‍👧‍👦'.repeat(16_000),
  'lone surrogates, 200 KB': '\ud83d'.repeat(100_000),
}

function letters(length: number): string {
  return randomBytes(length)
    .toString('latin1')
    .replaceAll(/[^]/g, (char) => String.fromCharCode(97 + (char.charCodeAt(0) % 26)))
}

const loadedAtMs = performance.now()
const countText = await loadVocabulary('o200k_base')
console.log(`vocabulary loaded in ${(performance.now() - loadedAtMs).toFixed(0)} ms`)
for (const [name, text] of Object.entries(TEXTS)) {
  const startedAtMs = performance.now()
  const tokens = countText(text)
  const ms = performance.now() - startedAtMs
  console.log(
    `${name.padEnd(32)} ${String(tokens).padStart(8)} tokens ${ms.toFixed(0).padStart(6)} ms`,
  )
}

const counter = createTokenCounter({ memoBytes: 16 << 20, timeoutMs: 60_000 })
const conversation = Array.from({ length: 40 }, (_, i) => `${i} ${SENTENCE.repeat(25)}`)
const firstAtMs = performance.now()
await counter.count('o200k_base', conversation)
console.log(`first count of 80 KB in 40 texts: ${(performance.now() - firstAtMs).toFixed(0)} ms`)
const ROUNDS = 2_000
const hitsAtMs = performance.now()
for (let i = 0; i < ROUNDS; i++) await counter.count('o200k_base', conversation)
const hitUs = ((performance.now() - hitsAtMs) * 1_000) / ROUNDS
console.log(`the same from the memo: ${hitUs.toFixed(1)} µs`)
const short = ['You are a helpful assistant.', 'What is the capital of Norway?']
await counter.count('o200k_base', short)
const shortAtMs = performance.now()
for (let i = 0; i < 100_000; i++) await counter.count('o200k_base', short)
console.log(
  `two short texts from the memo: ${((performance.now() - shortAtMs) / 100).toFixed(2)} µs`,
)
await counter.close()
