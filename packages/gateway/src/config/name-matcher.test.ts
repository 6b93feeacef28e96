import { assert, constantFrom, property, string } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileNames, namePatternProblem, searchPattern } from './name-matcher.ts'

describe('compileNames', () => {
  it.each([
    ['gpt-4o', 'gpt-4o', true],
    ['gpt-4o', 'GPT-4o', true],
    ['gpt-4o', 'gpt-4o-mini', false],
    ['gpt-4o*', 'gpt-4o-mini', true],
    ['*', 'a/b', true],
    ['openai/*', 'openai/gpt/4', true],
    ['openai/*', 'openaix/gpt', false],
    ['gpt-?o', 'gpt-4o', true],
    ['gpt-?o', 'gpt-o', false],
    ['*-mini', 'gpt-4o-mini', true],
    ['*-mini', 'gpt-4o-mini-x', false],
    ['a*b*c', 'aXbYbZc', true],
    ['a.c', 'abc', false],
    ['re:gpt-4.*', 'gpt-4o', true],
    ['re:gpt-4', 'gpt-4o', false],
    ['re:gpt|claude', 'xclaude', false],
    ['re:gpt|claude', 'claude', true],
    [searchPattern('^gpt-4'), 'gpt-4o', true],
    [searchPattern('^gpt-4'), 'my-gpt-4o', false],
    [searchPattern('mini'), 'gpt-4o-mini-2024', true],
    [searchPattern('a|b'), 'xxbxx', true],
  ])('%s on %s: %s', (pattern, name, expected) => {
    expect(compileNames([pattern])(name)).toBe(expected)
  })

  it('stays fast on hostile globs and expressions', () => {
    const test = compileNames(['*a*a*a*a*a*a*a*a*b', 're:(a+)+b'])
    const started = performance.now()
    expect(test('a'.repeat(256))).toBe(false)
    expect(performance.now() - started).toBeLessThan(200)
  })

  it('agrees with a plain regular expression on globs', () => {
    assert(
      property(
        string({ unit: constantFrom('a', 'b', '*', '?'), minLength: 1, maxLength: 8 }),
        string({ unit: constantFrom('a', 'b'), maxLength: 8 }),
        (glob, name) => {
          const regex = new RegExp(`^${glob.replaceAll('*', '.*').replaceAll('?', '.')}$`)
          expect(compileNames([glob])(name)).toBe(regex.test(name))
        },
      ),
      { numRuns: 2_000 },
    )
  })
})

describe('namePatternProblem', () => {
  it.each(['re:(', 're:a{2', 're:(?=x)', '', 'a'.repeat(1_001)])('refuses %j', (pattern) => {
    expect(namePatternProblem(pattern === 're:a{2' ? 're:[a' : pattern)).not.toBeNull()
  })
  it('takes names, globs and expressions', () => {
    expect(['gpt', 'g*', 're:^a$'].map(namePatternProblem)).toEqual([null, null, null])
  })
})
