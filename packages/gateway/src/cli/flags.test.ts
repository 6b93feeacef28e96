import { describe, expect, it } from 'vitest'
import { CliError } from './cli-error.ts'
import { count, given, jsonObject, names, pair, port } from './flags.ts'
import { fakeDeps } from './testing/fake-deps.ts'

describe('port', () => {
  it.each([
    ['0', 0],
    ['8080', 8080],
    ['65535', 65_535],
  ])('%s', (text, number) => expect(port(text)).toBe(number))

  it.each(['', '65536', '-1', '1.5', '0x10', ' 80', '100000', 'http'])('refuses %j', (text) => {
    expect(() => port(text)).toThrow('from 0 to 65535')
  })
})

describe('count', () => {
  it('takes a whole number above 0', () => expect(count('120')).toBe(120))

  it.each(['0', '-1', '1.5', '1e3', '', '01'])('refuses %j', (text) => {
    expect(() => count(text)).toThrow('above 0')
  })
})

describe('names', () => {
  it.each<[string, readonly string[] | undefined, readonly string[]]>([
    ['a', undefined, ['a']],
    [' a , b,,', undefined, ['a', 'b']],
    ['c', ['a', 'b'], ['a', 'b', 'c']],
    ['', undefined, []],
  ])('%j after %j', (text, before, all) => expect(names(text, before)).toEqual(all))
})

describe('pair', () => {
  it.each([
    ['a=b', { a: 'b' }],
    ['a=', { a: '' }],
    ['a=b=c', { a: 'b=c' }],
    ['a=b,c=d', { a: 'b,c=d' }],
  ])('%s', (text, pairs) => expect(pair(text)).toEqual(pairs))

  it('adds to those before, and the last of one name wins', () => {
    expect(pair('a=2', { a: '1', b: '1' })).toEqual({ a: '2', b: '1' })
  })

  it.each(['a', '=b', ''])('refuses %j', (text) => {
    expect(() => pair(text)).toThrow('name=value')
  })
})

describe('jsonObject', () => {
  const { io } = fakeDeps('{"from":"stdin"}')

  it.each([
    ['{"a":1}', { a: 1 }],
    ['-', { from: 'stdin' }],
    ['@../../../package.json', { name: 'tollgate' }],
  ])('reads %s', async (text, value) => {
    expect(await jsonObject(io, '--policy', text)).toMatchObject(value)
  })

  it.each([
    ['[]', 'a JSON object is needed'],
    ['"a"', 'a JSON object is needed'],
    ['{a:1}', '--policy: this is no JSON'],
    ['@gone.json', 'cannot be read'],
  ])('refuses %s as wrong usage', async (text, message) => {
    const thrown: unknown = await jsonObject(io, '--policy', text).catch((one: unknown) => one)
    expect(thrown).toBeInstanceOf(CliError)
    expect(thrown).toMatchObject({ exitCode: 2, message: expect.stringContaining(message) })
  })
})

describe('given', () => {
  it('drops what is undefined, and nothing else', () => {
    const value = given({ a: undefined, b: null, c: 0, d: '' })
    expect(Object.entries(value)).toEqual([
      ['b', null],
      ['c', 0],
      ['d', ''],
    ])
  })
})
