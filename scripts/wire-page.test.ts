import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { SOURCE } from './zones.ts'

const ROOT = path.join(import.meta.dirname, '..')
const PAGE = readFileSync(path.join(ROOT, 'docs/reference/wire.md'), 'utf8')

type Row = {
  readonly number: number
  readonly rule: string
  readonly status: string
  readonly where: string
}

const ROW = /^\| (\d+) \| ([^|]+) \| (tested|partly|reason) \| ([^|]+) \|$/gm
/** A file of tests and the name of one of them. */
const TEST = /`([\w./-]+\.test\.ts)`: "([^"]+)"/g
/** A file is named from the root or from the source folder. */
const BASES = ['', SOURCE]

/** Numbers that each section must hold, each once. */
const NUMBERS: Readonly<Record<string, readonly number[]>> = {
  'Rules of the wire': range(1, 88),
  Threats: [...range(1, 12), 17, 18],
  Faults: [...range(1, 23), ...range(36, 39)],
}

function range(first: number, last: number): readonly number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}

function rowsOf(page: string, section: string): readonly Row[] {
  const text = page.split(/^## /m).find((one) => one.startsWith(section)) ?? ''
  return [...text.matchAll(ROW)].map(([, number, rule = '', status = '', where = '']) => ({
    number: Number(number),
    rule,
    status,
    where,
  }))
}

/** Tests that a row names and that are not there. */
function missing({ number, where }: Row): readonly string[] {
  return [...where.matchAll(TEST)].flatMap(([, file = '', name = '']) => {
    const found = BASES.map((base) => path.join(ROOT, base, file)).find((one) => existsSync(one))
    if (found === undefined) return [`${number}: no file ${file}`]
    return holds(readFileSync(found, 'utf8'), name)
      ? []
      : [`${number}: no test "${name}" in ${file}`]
  })
}

/** As the name of a test or of a group of tests, not anywhere. */
function holds(source: string, name: string): boolean {
  return ["'", '"', '`'].some((quote) => {
    const text = quote + name + quote
    return source.includes(`(${text}`) || source.includes(`  ${text}`)
  })
}

const sections = Object.keys(NUMBERS)
const rows = sections.flatMap((section) => rowsOf(PAGE, section))

describe('docs/reference/wire.md', () => {
  it.each(sections)('%s: every number, once', (section) => {
    expect(rowsOf(PAGE, section).map(({ number }) => number)).toEqual(NUMBERS[section])
  })

  it('names only tests that exist', () => {
    expect(rows.flatMap(missing)).toEqual([])
  })

  it('has a test or a reason in every row', () => {
    const without = rows.filter(({ status, where }) => {
      const tests = [...where.matchAll(TEST)].length
      return status === 'reason' ? tests > 0 || where.length < 20 : tests === 0
    })
    expect(without).toEqual([])
  })

  it('says each rule in few words', () => {
    expect(rows.filter(({ rule }) => rule.split(' ').length > 10)).toEqual([])
  })

  it('would notice a test that is gone', () => {
    const row = { number: 1, rule: '', status: 'tested' }
    const zones = '`scripts/zones.test.ts`'
    expect(missing({ ...row, where: `${zones}: "sees the code"` })).toEqual([])
    expect(missing({ ...row, where: `${zones}: "sees the cod"` })).toHaveLength(1)
    expect(missing({ ...row, where: '`gone.test.ts`: "x"' })).toHaveLength(1)
  })
})
