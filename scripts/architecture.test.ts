import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { PACKAGES, SOURCE, ZONES } from './zones.ts'

const ROOT = path.join(import.meta.dirname, '..')
const PAGE = readFileSync(path.join(ROOT, 'ARCHITECTURE.md'), 'utf8')

/** Text in backticks that is a path: it has a slash or the ending of a file of ours. */
const QUOTED_PATH = /`([\w.-]+(?:\/[\w.-]*)+|[\w-]+\.(?:ts|cjs|mjs|json|md))`/g
const BRANCH = /^((?:│ {2}| {3})*)[├└]─ (\S+)/

/** Short names of the page are below the source folder, or name a module anywhere in `stages/`. */
const BASES = ['', SOURCE, `${SOURCE}/data-plane/stages`]

function quotedPaths(page: string): readonly string[] {
  return [...page.matchAll(QUOTED_PATH)].map(([, one = '']) => one)
}

/** The paths of the drawn tree, from the root of the repository. */
function treePaths(page: string): readonly string[] {
  const trail: string[] = []
  return page.split('\n').flatMap((line) => {
    const [, indent, name] = BRANCH.exec(line) ?? []
    if (indent === undefined || name === undefined) return []
    trail.splice(indent.length / 3)
    trail.push(name)
    return [trail.join('')]
  })
}

function missing(paths: readonly string[], bases: readonly string[]): readonly string[] {
  return paths.filter((one) => !bases.some((base) => existsSync(path.join(ROOT, base, one))))
}

type Row = { readonly imports: readonly string[]; readonly packages: readonly string[] }

function zoneTable(page: string): Readonly<Record<string, Row>> {
  const section = page.split(/^## /m).find((one) => one.startsWith('Who may import whom'))
  const rows = [...(section ?? '').matchAll(/^\| `([^`]+)` *\|([^|]*)\|([^|]*)\|$/gm)]
  return Object.fromEntries(
    rows.map(([, zone = '', imports = '', packages = '']) => [
      zone,
      { imports: names(imports), packages: names(packages) },
    ]),
  )
}

function names(cell: string): readonly string[] {
  const text = cell.trim()
  return text === 'none' ? [] : text.split(', ')
}

describe('ARCHITECTURE.md', () => {
  it('names only paths that exist', () => {
    expect(quotedPaths(PAGE).length).toBeGreaterThan(30)
    expect(missing(quotedPaths(PAGE), BASES)).toEqual([])
  })

  it('draws only paths that exist', () => {
    expect(treePaths(PAGE)).toContain(`${SOURCE}/data-plane/http/`)
    expect(missing(treePaths(PAGE), [''])).toEqual([])
  })

  it('draws every zone', () => {
    const drawn = treePaths(PAGE)
    expect(Object.keys(ZONES).filter((zone) => !drawn.includes(`${SOURCE}/${zone}/`))).toEqual([])
  })

  it('has the table that is enforced', () => {
    const enforced = Object.entries(ZONES).map(([zone, imports]) => [
      zone,
      { imports, packages: PACKAGES[zone] ?? [] },
    ])
    expect(zoneTable(PAGE)).toEqual(Object.fromEntries(enforced))
  })

  it('would notice a path that is gone', () => {
    expect(missing(quotedPaths('see `plan/gone.ts` and `gone.ts`'), BASES)).toEqual([
      'plan/gone.ts',
      'gone.ts',
    ])
    expect(missing(treePaths('├─ docs/\n│  └─ gone/'), [''])).toEqual(['docs/gone/'])
  })
})
