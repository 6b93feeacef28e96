import { describe, expect, it } from 'vitest'
import { costText, unitText, wholeText } from './amounts.ts'
import { oneLine, plainText } from './plain-text.ts'
import { facts, table } from './table.ts'

type Row = { readonly name: string; readonly n: number | null }

function printed(rows: readonly Row[]): string {
  return table(rows, [
    { title: 'name', value: ({ name }) => name },
    { title: 'n', value: ({ n }) => n, right: true },
  ])
}

describe('table', () => {
  it('aligns columns under titles, without white space at the end', () => {
    const rows = [
      { name: 'a', n: 1 },
      { name: 'longer', n: 1000 },
    ]
    expect(printed(rows)).toBe('NAME       N\na          1\nlonger  1000\n')
  })

  it.each([
    ['', '-'],
    ['\u001B[2Jx', '\\u001b[2Jx'],
    ['a\nb', 'a\\u000ab'],
    ['a\u202Eb', 'a\\u202eb'],
    ['漢é', '漢é'],
  ])('shows %j as %s', (name, shown) => {
    const [, line = ''] = printed([{ name, n: null }]).split('\n')
    expect(line.split(/ {2,}/)).toEqual([shown, '-'])
  })

  it('prints facts one per line, with the values aligned', () => {
    const text = facts([
      ['id', 'k'],
      ['longer', 0],
      ['none', null],
      ['evil', '\u0007'],
    ])
    expect(text).toBe('id      k\nlonger  0\nnone    -\nevil    \\u0007\n')
  })
})

describe('texts of others', () => {
  it.each([
    ['a\tb', 'a\\u0009b'],
    ['a\u009Bb', 'a\\u009bb'],
    ['a\u2028b', 'a\\u2028b'],
    ['plain', 'plain'],
  ])('%j is printed as %s', (text, plain) => expect(plainText(text)).toBe(plain))

  it('is put on one line', () => expect(oneLine('a \n  b\u0007')).toBe('a b\\u0007'))
})

describe('amounts', () => {
  it.each<[number | null, string]>([
    [null, '-'],
    [0, '$0.00'],
    [1_234_500_000, '$1.23'],
    [12_300_000, '$0.0123'],
    [1_200, '$0.000001'],
  ])('%d nano-dollars are %s', (nanoUsd, text) => expect(costText(nanoUsd)).toBe(text))

  it('groups thousands, and shows a limit in its unit', () => {
    expect([wholeText(1_204_000), unitText(5, 'usd'), unitText(5000, 'tokens')]).toEqual([
      '1,204,000',
      '$5.00',
      '5,000',
    ])
  })
})
