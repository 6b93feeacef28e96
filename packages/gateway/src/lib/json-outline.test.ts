import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { findJsonProblem } from './json-error.ts'
import { JsonOutlineError, outlineJson } from './json-outline.ts'

const outline = (text: string) => outlineJson(Buffer.from(text).toString('latin1'), 64)

/** Null: the text is taken. */
function refusalOf(text: string): unknown {
  try {
    outline(text)
    return null
  } catch (thrown) {
    return thrown
  }
}

describe('outlineJson', () => {
  it('notes where each top-level value stands, in bytes', () => {
    const text = ' {"a" : 1.5e3 , "b":[{"c":null}],"é":"\\"x\\\\","d":{} } '
    const { members, membersEndAt } = outline(text)
    const bytes = Buffer.from(text)
    const values = [...members].map(([name, { start, end }]) => [
      name,
      bytes.toString('utf8', start, end),
    ])
    expect(values).toEqual([
      ['a', '1.5e3'],
      ['b', '[{"c":null}]'],
      ['é', '"\\"x\\\\"'],
      ['d', '{}'],
    ])
    expect(bytes.toString('utf8', membersEndAt)).toBe(' } ')
  })

  it.each([
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    '{"é":1,"\\u00e9":2}',
    '{"x":{"b":1,"b":1}}',
    '{"x":[{"b":1,"\\u0062":1}]}',
    `{"x":{${Array.from({ length: 40 }, (_, i) => `"k${i}":0`).join()},"k7":1}}`,
    `{"x":{${Array.from({ length: 40 }, (_, i) => `"k${i}":0`).join()},"k39":1}}`,
  ])('refuses the duplicate key in %s', (text) => {
    expect(() => outline(text)).toThrow('duplicate key')
  })

  it.each(['{"a":1e999}', '{"a":[-1E400]}', `{"a":${'9'.repeat(400)}}`])(
    'refuses the number in %s',
    (text) => {
      expect(() => outline(text)).toThrow(JsonOutlineError)
    },
  )

  it('refuses nesting below the limit, however deep', () => {
    expect(() => outline(`{"a":${'['.repeat(63)}1${']'.repeat(63)}}`)).not.toThrow()
    expect(() => outline(`{"a":${'['.repeat(64)}1${']'.repeat(64)}}`)).toThrow('nested deeper')
    expect(() => outline(`{"a":${'['.repeat(100_000)}`)).toThrow('nested deeper')
  })

  it('finds every value of any object', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.constantFrom(0, 1, 3),
        (value, indent) => {
          const text = JSON.stringify(value, null, indent)
          const bytes = Buffer.from(text)
          const found = Object.fromEntries(
            [...outline(text).members].map(([name, { start, end }]) => [
              name,
              JSON.parse(bytes.toString('utf8', start, end)),
            ]),
          )
          expect(found).toEqual(JSON.parse(text))
        },
      ),
    )
  })

  it('comes to an end on any text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(refusalOf(text)).toSatisfy(
          (thrown) => thrown === null || thrown instanceof JsonOutlineError,
        )
      }),
    )
  })
})

describe('findJsonProblem', () => {
  it.each([
    ['', 0],
    ['[]', 0],
    ['{"a":1} {}', 8],
    ['{"a":01}', 6],
    ['{"a":1,}', 7],
    ['{"a":tru}', 5],
    ['{"a":"\u0001"}', 6],
    ['{"a":"\\x"}', 6],
    ['{"a":"\\u12g4"}', 6],
    ['{"a":.5}', 5],
    ['{"a":+1}', 5],
    ['{"a":NaN}', 5],
    ['{"a"', 4],
    ['{"a":"b', 7],
    ['{a:1}', 1],
  ])('finds it in %j at byte %i', (text, at) => {
    expect(findJsonProblem(Buffer.from(text), 64)).toMatchObject({ at })
  })

  it('judges as JSON.parse does', () => {
    const piece = fc.constantFrom(...'{}[]",:\\ 0123e.-+tfnu'.split(''), '"a"', 'true', 'null')
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = `{"k":${pieces.join('')}}`
        let parsed = true
        try {
          JSON.parse(text)
        } catch {
          parsed = false
        }
        expect(findJsonProblem(Buffer.from(text), 64) === null).toBe(parsed)
      }),
      { numRuns: 3000 },
    )
  })
})
