import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { JsonScanError, scanJsonObject } from './json-scan.ts'

const OPTIONS = { maxDepth: 64, refuseDuplicateKeys: true, watch: null } as const

function scan(text: string) {
  return scanJsonObject(Buffer.from(text), OPTIONS)
}

function wide(count: number): string {
  return `{${Array.from({ length: count }, (_, i) => `"k${i}":0`).join()}}`
}

describe('scanJsonObject', () => {
  it('notes where each top-level value stands', () => {
    const text = ' {"a" : 1.5e3 , "b":[{"c":null}],"é":"\\"x"} '
    const { members, membersEndAt } = scan(text)
    const bytes = Buffer.from(text)
    const values = [...members].map(([name, { start, end }]) => [
      name,
      bytes.toString('utf8', start, end),
    ])
    expect(values).toEqual([
      ['a', '1.5e3'],
      ['b', '[{"c":null}]'],
      ['é', '"\\"x"'],
    ])
    expect(bytes.toString('utf8', membersEndAt)).toBe('} ')
  })

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
    ['{"a":1e999}', 5],
    ['{"a":.5}', 5],
    ['{"a":+1}', 5],
    ['{"a":NaN}', 5],
    ['{"a"', 4],
    ['{"a":"b', 7],
    ['{a:1}', 1],
  ])('refuses %j at byte %i', (text, at) => {
    let thrown: unknown
    try {
      scan(text)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(JsonScanError)
    expect(thrown).toMatchObject({ at })
  })

  it.each([
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    '{"x":{"b":1,"b":1}}',
    '{"x":[{"b":1,"\\u0062":1}]}',
    `{"x":{${Array.from({ length: 40 }, (_, i) => `"k${i}":0`).join()},"k7":1}}`,
  ])('refuses the duplicate key in %s', (text) => {
    expect(() => scan(text)).toThrow('duplicate key')
  })

  it('bounds the members whose names must be looked up', () => {
    expect(() => scan(wide(1000))).not.toThrow()
    expect(() => scan(wide(1001))).toThrow('more members than are accepted')
    expect(() => scan(`{"x":${wide(100_000)}}`)).not.toThrow()
    expect(() => scan(`{"x":${wide(100_100)}}`)).toThrow('more members than are accepted')
  })

  it('refuses nesting below the limit, however deep, without a stack overflow', () => {
    expect(() => scan(`{"a":${'['.repeat(63)}1${']'.repeat(63)}}`)).not.toThrow()
    expect(() => scan(`{"a":${'['.repeat(64)}1${']'.repeat(64)}}`)).toThrow('nested deeper')
    expect(() => scan(`{"a":${'['.repeat(100_000)}`)).toThrow('nested deeper')
  })

  it('collects the watched member of every object of the watched list', () => {
    const text =
      '{"messages":[{"role":"user","x":{"role":"no"}},{"ro\\u006ce":"b"},{},3],"role":"c"}'
    const bytes = Buffer.from(text)
    const found = scanJsonObject(bytes, {
      ...OPTIONS,
      watch: { list: 'messages', member: 'role' },
    })
    expect(found.watched.map(({ start, end }) => bytes.toString('utf8', start, end))).toEqual([
      '"user"',
      '"b"',
    ])
    expect(found.unwatched).toBe(2)
  })

  it('accepts exactly what JSON.parse accepts, for objects without duplicates', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const text = JSON.stringify(value, null, 1)
        expect([...scan(text).members.keys()].toSorted()).toEqual(Object.keys(value).toSorted())
      }),
    )
  })

  it('judges damaged texts as JSON.parse does', () => {
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
        let scanned = true
        try {
          scanJsonObject(Buffer.from(text), { ...OPTIONS, refuseDuplicateKeys: false })
        } catch {
          scanned = false
        }
        const tooLarge = parsed && /\d[eE]\+?\d{3,}/.test(text)
        expect(scanned || tooLarge).toBe(parsed)
      }),
      { numRuns: 2000 },
    )
  })
})
