import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { findDirectives } from './parse-directives.ts'

function read(text: string): { left: string; said: string; ignored: readonly string[] } {
  const { cuts, entries, ignored } = findDirectives(text)
  let left = ''
  let from = 0
  for (const { start, end } of cuts) {
    left += text.slice(from, start)
    from = end
  }
  const said = entries.map(({ key, value }) => `${key}=${value}`).join(' ')
  return { left: left + text.slice(from), said, ignored }
}

describe('one line', () => {
  it.each([
    ['@@tollgate mode=cheap\nHello', 'Hello', 'mode=cheap'],
    ['@@tokenhub mode=cheap budget=0.5', '', 'mode=cheap budget=0.5'],
    ['Hi @@tollgate mode=cheap\r\nthere', 'Hi\r\nthere', 'mode=cheap'],
    ['a\n  @@TollGate  latency = 200  \nb', 'a\nb', 'latency=200'],
    [
      '@@tollgate output_schema={"type": "object"} mode=cheap\nx',
      'x',
      'output_schema={"type": "object"} mode=cheap',
    ],
    ['@@tollgate output_schema={\n "a": "}\\"" }\nx', 'x', 'output_schema={\n "a": "}\\"" }'],
    ['one@@tollgate mode=a\ntwo @@tollgate mode=b', 'one\ntwo', 'mode=a mode=b'],
  ])('%j', (text, left, said) => {
    expect(read(text)).toEqual({ left, said, ignored: [] })
  })
})

describe('a block', () => {
  it.each([
    ['@@tollgate\nmode=cheap\n@@end\nHello', 'Hello', 'mode=cheap'],
    [
      'a\n@@tokenhub  \r\n mode = cheap\r\n\r\nbudget=1 \r\n@@end\r\nb',
      'a\nb',
      'mode=cheap budget=1',
    ],
    ['a @@tollgate\nmode=cheap\n@@end b', 'a b', 'mode=cheap'],
    [
      '@@tollgate\noutput_schema={\n"a": 1\n}\nmode=x\n@@end',
      '',
      'output_schema={\n"a": 1\n} mode=x',
    ],
    ['@@tollgate\n@@end', '', ''],
  ])('%j', (text, left, said) => {
    expect(read(text)).toEqual({ left, said, ignored: [] })
  })
})

describe('what is malformed', () => {
  it.each([
    ['@@tollgate', '', ''],
    ['Hi\n@@tollgate\nthere', 'Hi\nthere', ''],
    ['@@tollgate\nmode=cheap\nbudget=1\nmy own words', 'my own words', ''],
    ['@@tollgate is a marker mode=cheap', '', 'mode=cheap'],
    ['@@tollgate =5', '', ''],
    ['@@tollgate\nno pair\nmode=cheap\n@@end', '', 'mode=cheap'],
  ])('is cut too: %j', (text, left, said) => {
    const found = read(text)
    expect([found.left, found.said]).toEqual([left, said])
    expect(new Set(found.ignored)).toEqual(new Set(['malformed']))
  })

  it.each([
    '@@tollgateway mode=x',
    '@@tollgate_x',
    '@@tollgate-x',
    '@tollgate mode=x',
    '@@ -1,2 +1,2 @@',
    '@@end',
  ])('other texts stay: %j', (text) =>
    expect(read(text)).toEqual({ left: text, said: '', ignored: [] }),
  )
})

it('leaves no marker, and nothing but what is cut is lost', () => {
  const piece = fc.constantFrom(
    '@@tollgate',
    '@@TOKENHUB',
    '@@end',
    ' ',
    '\n',
    '\r\n',
    'mode=cheap',
    '{',
    '}',
    '"',
    'text',
    '=',
    '@@',
    '\t',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const text = pieces.join('')
      const { cuts } = findDirectives(text)
      let before = 0
      for (const { start, end } of cuts) {
        expect(start).toBeGreaterThanOrEqual(before)
        expect(end).toBeGreaterThan(start)
        before = end
      }
      expect(before).toBeLessThanOrEqual(text.length)
      for (const marker of text.matchAll(/@@(?:tollgate|tokenhub)(?![\w-])/gi)) {
        expect(cuts.some(({ start, end }) => start <= marker.index && marker.index < end)).toBe(
          true,
        )
      }
    }),
    { numRuns: 2000 },
  )
})

it.each([
  ['markers', '@@tollgate\n'],
  ['pairs', '@@tollgate a={ '],
  ['words', '@@tollgate a b c d '],
  ['ends', '@@tollgate\n@@end\n'],
  ['open objects on one line', 'a={'],
])('reads a megabyte of %s in linear time', (_, piece) => {
  const text = `@@tollgate ${piece.repeat(Math.ceil(1_000_000 / piece.length))}`
  const small = findDirectives(text.slice(0, 1000))
  const large = findDirectives(text)
  expect(large.cuts.length).toBeGreaterThanOrEqual(small.cuts.length)
})
