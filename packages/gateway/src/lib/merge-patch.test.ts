import { assert, constantFrom, dictionary, jsonValue, property } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isRecord } from './is-record.ts'
import { mergePatch } from './merge-patch.ts'

/** The cases of RFC 7396, Appendix A: original, patch, result. */
const CASES: readonly (readonly [unknown, unknown, unknown])[] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, null, null],
  [{ a: 'foo' }, 'bar', 'bar'],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
]

describe('mergePatch', () => {
  it.each(CASES)('%j + %j = %j', (target, patch, result) => {
    expect(mergePatch(target, patch)).toEqual(result)
  })

  it('changes nothing when applied twice, and never its arguments', () => {
    assert(
      property(
        jsonValue(),
        dictionary(constantFrom('a', 'b', 'c', 'd'), jsonValue()),
        (target, patch) => {
          const before = JSON.stringify([target, patch])
          const once = mergePatch(target, patch)
          expect(mergePatch(once, patch)).toEqual(once)
          expect(JSON.stringify([target, patch])).toBe(before)
        },
      ),
    )
  })

  it('leaves what the patch does not name', () => {
    assert(
      property(dictionary(constantFrom('a', 'b', 'c', 'd'), jsonValue()), (target) => {
        const merged = mergePatch(target, { added: 1 })
        expect(isRecord(merged) && merged['added']).toBe(1)
        expect(mergePatch(target, {})).toEqual(target)
      }),
    )
  })

  it('takes __proto__ for a member', () => {
    const merged = mergePatch({}, JSON.parse('{"__proto__": {"polluted": true}}'))
    expect(Object.getPrototypeOf(merged)).toBe(Object.prototype)
    expect('polluted' in Object(merged)).toBe(false)
  })
})
