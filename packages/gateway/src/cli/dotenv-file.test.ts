import { describe, expect, it } from 'vitest'
import { readVariable, removeVariables, setVariables } from './dotenv-file.ts'

describe('setVariables', () => {
  it.each([
    ['a new file', '', 'K="v"\n'],
    ['at the end', 'A=1\n', 'A=1\nK="v"\n'],
    ['without a line break at the end', 'A=1', 'A=1\nK="v"\n'],
    ['in place', 'A=1\nK=old\nB=2\n', 'A=1\nK="v"\nB=2\n'],
    ['with export', 'export K=old\n', 'export K="v"\n'],
    ['every line of the name', 'K=1\nK=2\n', 'K="v"\nK="v"\n'],
    ['not in a comment', '# K=old\n', '# K=old\nK="v"\n'],
    ['not in a longer name', 'MY_K=1\nK2=2\n', 'MY_K=1\nK2=2\nK="v"\n'],
    ['among empty lines', '\nK = old\n\nA=1\n', '\nK="v"\n\nA=1\n'],
  ])('%s', (_, before, after) => {
    expect(setVariables(before, { K: 'v' })).toBe(after)
  })

  it('escapes what a shell would expand', () => {
    expect(setVariables('', { K: 'a"b$c`d\\e' })).toBe('K="a\\"b\\$c\\`d\\\\e"\n')
  })

  it('changes nothing the second time', () => {
    const once = setVariables('A=1\n', { K: 'v', L: 'w' })
    expect(setVariables(once, { K: 'v', L: 'w' })).toBe(once)
  })
})

describe('removeVariables', () => {
  it('takes out lines of these names only', () => {
    const text = '# K=0\nexport K="v"\nKK=1\nL=2\nA=3\n'
    expect(removeVariables(text, ['K', 'L'])).toBe('# K=0\nKK=1\nA=3\n')
  })
})

describe('readVariable', () => {
  it.each([
    ['K=v', 'v'],
    ['K="v"', 'v'],
    ["export K='v w'", 'v w'],
    ['K=1\nK=2', '2'],
    ['K=a=b', 'a=b'],
    ['K=', ''],
    ['# K=v', null],
    ['', null],
  ])('%j', (text, value) => expect(readVariable(text, 'K')).toBe(value))
})
