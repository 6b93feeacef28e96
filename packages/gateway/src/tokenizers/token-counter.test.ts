import { assert, array, constantFrom, integer, property, string } from 'fast-check'
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { splitLongRuns } from '../lib/split-long-runs.ts'
import { boundTokens } from './bound-tokens.ts'
import { splitAtSpaces } from './split-at-spaces.ts'
import { createTokenCounter } from './token-counter.ts'
import { createTokenMemo } from './token-memo.ts'
import { type CountText, loadVocabulary } from './vocabulary.ts'

const NO_SPECIALS = { disallowedSpecial: new Set<string>() }
const trueCount = (text: string): number => countTokens(text, NO_SPECIALS)
const PROSE = 'The gate is open, and 42 cars (all of them red) went through; "fine", she said.\n'

let countText: CountText
beforeAll(async () => {
  countText = await loadVocabulary('o200k_base')
})

describe('countText', () => {
  it('is exact for text without long runs', () => {
    const words = constantFrom(
      'gate',
      ' open',
      '\n',
      ' 123',
      '你好',
      'é',
      '!',
      ' {"a":',
      '👍',
      '  ',
    )
    assert(
      property(array(words, { maxLength: 200 }), (parts) => {
        const text = parts.join('')
        if (splitLongRuns(text).length > 1) return
        expect(countText(text)).toBe(trueCount(text))
      }),
    )
  })

  it('is exact for long prose, cut into chunks or not', () => {
    const text = PROSE.repeat(1_000)
    expect([...splitAtSpaces(text)].length).toBeGreaterThan(3)
    expect(countText(text)).toBe(trueCount(text))
  })

  it('never counts a cut run below the truth, and stays within 2 % for long runs in prose', () => {
    assert(
      property(
        constantFrom('a', 'ab', ' ', '=-', '\n', '天地玄黄', 'é'),
        integer({ min: 257, max: 900 }),
        (unit, n) => {
          const run = unit.repeat(n)
          expect(countText(run)).toBeGreaterThanOrEqual(trueCount(run))
          const text = PROSE.repeat(200) + run
          expect(countText(text) / trueCount(text)).toBeLessThan(1.02)
        },
      ),
      { numRuns: 40 },
    )
  })

  it('takes any text: lone surrogates, control tokens, nothing', () => {
    assert(
      property(string({ unit: 'binary', maxLength: 400 }), (text) => {
        expect(countText(text)).toBeLessThanOrEqual(boundTokens([text]))
      }),
    )
    expect(countText('')).toBe(0)
    expect(countText('\ud83d')).toBeGreaterThan(0)
    expect(countText('<|endoftext|>')).toBeGreaterThan(1)
  })

  it.each([
    ['one letter', 'a'.repeat(1 << 20)],
    ['spaces', ' '.repeat(100_000)],
    ['Chinese', '天地玄黄宇宙洪荒'.repeat(12_500)],
  ])('takes no quadratic time: %s', (_, text) => {
    const startedAtMs = performance.now()
    countText(text)
    expect(performance.now() - startedAtMs).toBeLessThan(2_000)
  })

  it('counts bytes after the deadline, which is never too little', () => {
    const text = PROSE.repeat(1_000)
    expect(countText(text, 0)).toBe(boundTokens([text]))
  })
})

describe('splitting', () => {
  it('loses nothing', () => {
    assert(
      property(
        string({ unit: 'binary', maxLength: 2_000 }),
        integer({ min: 1, max: 60 }),
        (text, n) => {
          const long = text.repeat(n)
          expect(splitLongRuns(long).join('')).toBe(long)
          expect([...splitAtSpaces(long)].join('')).toBe(long)
        },
      ),
      { numRuns: 50 },
    )
  })

  it('leaves no run longer than its limit', () => {
    for (const part of splitLongRuns(`${'x'.repeat(1_000)} ${'='.repeat(700)}${' '.repeat(600)}`)) {
      expect(/\p{L}{257}|[^\s\p{L}\p{N}]{257}|\s{257}/u.test(part)).toBe(false)
    }
  })
})

describe('createTokenCounter', () => {
  const counter = createTokenCounter({ memoBytes: 1 << 20, timeoutMs: 20_000 })
  afterAll(() => counter.close())

  it('counts on the worker first, then from the memo at once', async () => {
    const texts = [PROSE, PROSE.repeat(10), 'hi']
    const counted = counter.count('o200k_base', texts)
    expect(counted).toBeInstanceOf(Promise)
    const sum = texts.reduce((total, text) => total + trueCount(text), 0)
    expect(await counted).toBe(sum)
    expect(counter.count('o200k_base', texts)).toBe(sum)
    expect(counter.count('o200k_base', [])).toBe(0)
  })

  it('keeps vocabularies apart', async () => {
    const text = '你好，世界。今天天气很好。'
    const old = await counter.count('cl100k_base', [text])
    const current = await counter.count('o200k_base', [text])
    expect(old).toBeGreaterThan(current)
  })

  it('answers the bound when the worker dies, and starts another', async () => {
    const url = await workerFile('process.exit(1)')
    const broken = createTokenCounter({ memoBytes: 1_000, workerUrl: url })
    expect(await broken.count('o200k_base', ['abc', 'é'])).toBe(5)
    expect(await broken.count('o200k_base', ['abc'])).toBe(3)
    await broken.close()
  })

  it('answers the bound when the worker is late', async () => {
    const url = await workerFile('setInterval(() => {}, 1000)')
    const late = createTokenCounter({ memoBytes: 1_000, timeoutMs: 20, workerUrl: url })
    expect(await late.count('o200k_base', ['abc'])).toBe(3)
    await late.close()
    expect(await late.count('o200k_base', ['abcd'])).toBe(4)
  })

  it('does not let a hostile text hold up the next request', async () => {
    const hostile = Array.from({ length: 1 << 21 }, (_, i) =>
      String.fromCharCode(33 + ((i * i * 7919) % 200)),
    )
    const startedAtMs = performance.now()
    const tokens = await counter.count('o200k_base', [hostile.join('')])
    expect(tokens).toBeLessThanOrEqual(boundTokens([hostile.join('')]))
    expect(performance.now() - startedAtMs).toBeLessThan(5_000)
  })
})

describe('createTokenMemo', () => {
  it('forgets what is not asked for, within its bytes', () => {
    const memo = createTokenMemo(20_000)
    const keys = Array.from({ length: 1_000 }, (_, i) => memo.keyOf(`text ${i}`))
    for (const [i, key] of keys.entries()) {
      memo.set(key, i)
      memo.get(keys[0] ?? '')
    }
    expect(memo.get(keys[0] ?? '')).toBe(0)
    expect(memo.get(keys[1] ?? '')).toBeUndefined()
    expect(memo.get(keys[999] ?? '')).toBe(999)
  })

  it('tells long texts apart without holding them', () => {
    const memo = createTokenMemo(1_000)
    const long = 'x'.repeat(100_000)
    expect(memo.keyOf(long).length).toBeLessThan(64)
    expect(memo.keyOf(long)).not.toBe(memo.keyOf(`${long}y`))
  })
})

async function workerFile(code: string): Promise<URL> {
  const folder = await mkdtemp(join(tmpdir(), 'token-worker-'))
  const file = join(folder, 'worker.mjs')
  await writeFile(file, code)
  return pathToFileURL(file)
}
