import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { PACKAGES, SOURCE as SOURCE_FOLDER, ZONES } from './zones.ts'

const SOURCE = path.join(import.meta.dirname, '..', SOURCE_FOLDER)
const COMPOSITION = 'composition'

/** Kinds whose members must not know each other. */
const KINDS: ReadonlySet<string> = new Set(['protocols', 'providers', 'storage', 'exporters'])

/** Folders of a kind that are no members: what several members share. */
const SHARED: ReadonlySet<string> = new Set(['translation', 'openai-wire'])

type Module = { readonly file: string; readonly imports: readonly string[] }

function readModules(): readonly Module[] {
  return readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
    .map((file) => file.split(path.sep).join('/'))
    .filter((file) => file.endsWith('.ts'))
    .map((file) => ({ file, imports: importsOf(readFileSync(path.join(SOURCE, file), 'utf8')) }))
}

const STATIC = /^(?:import|export)\b[^'"]*?from '([^']+)'|^import '([^']+)'/gm
const DYNAMIC = /\bimport\('([^']+)'\)|new URL\('([^']+)', import\.meta/g

function importsOf(text: string): readonly string[] {
  return [...matches(text, STATIC), ...matches(text, DYNAMIC)]
}

function matches(text: string, pattern: RegExp): readonly string[] {
  return [...text.matchAll(pattern)].map(([, first, second]) => first ?? second ?? '')
}

function zoneOf(file: string): string {
  const [first, ...rest] = file.split('/')
  return rest.length === 0 || first === undefined ? COMPOSITION : first
}

function isTest(file: string): boolean {
  return file.endsWith('.test.ts') || file.includes('testing/')
}

/** What is wrong with the imports of these modules, one line each. */
function violations(modules: readonly Module[]): readonly string[] {
  return modules
    .filter(({ file }) => !isTest(file))
    .flatMap(({ file, imports }) => imports.map((one) => problemOf(file, one)))
    .filter((problem) => problem !== null)
}

function problemOf(file: string, specifier: string): string | null {
  const zone = zoneOf(file)
  if (zone === COMPOSITION || specifier.startsWith('node:')) return null
  if (!specifier.startsWith('.')) return packageProblem(file, zone, specifier)
  const target = path.posix.normalize(path.posix.join(path.posix.dirname(file), specifier))
  const targetZone = zoneOf(target)
  if (isTest(target)) return `${file} imports test code: ${target}`
  if (targetZone !== zone) {
    if (ZONES[zone]?.includes(targetZone) === true) return null
    const allowed = [zone, ...(ZONES[zone] ?? [])].join(', ')
    return `${file} imports ${target}; ${zone}/ may import only ${allowed}. Move the shared part to contracts/ or lib/.`
  }
  return siblingProblem(file, zone, target)
}

function packageProblem(file: string, zone: string, specifier: string): string | null {
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
  if (PACKAGES[zone]?.includes(name) === true) return null
  return `${file} imports the package ${name}, which ${zone}/ may not use.`
}

function siblingProblem(file: string, zone: string, target: string): string | null {
  if (!KINDS.has(zone)) return null
  const [, member = ''] = file.split('/')
  const [, other = ''] = target.split('/')
  const bothFolders = file.split('/').length > 2 && target.split('/').length > 2
  if (!bothFolders || member === other || SHARED.has(other)) return null
  return `${file} imports ${target}; members of ${zone}/ must not know each other.`
}

/** The first cycle found among the modules, as a path; null when there is none. */
function findCycle(modules: readonly Module[]): readonly string[] | null {
  const edges = new Map(
    modules.map(({ file, imports }) => [
      file,
      imports
        .filter((one) => one.startsWith('.'))
        .map((one) => path.posix.normalize(path.posix.join(path.posix.dirname(file), one))),
    ]),
  )
  const done = new Set<string>()
  const visit = (file: string, trail: readonly string[]): readonly string[] | null => {
    if (trail.includes(file)) return [...trail.slice(trail.indexOf(file)), file]
    if (done.has(file)) return null
    done.add(file)
    for (const next of edges.get(file) ?? []) {
      const cycle = visit(next, [...trail, file])
      if (cycle !== null) return cycle
    }
    return null
  }
  for (const file of edges.keys()) {
    const cycle = visit(file, [])
    if (cycle !== null) return cycle
  }
  return null
}

describe('zones', () => {
  const modules = readModules()

  it('sees the code', () => {
    expect(modules.length).toBeGreaterThan(200)
    expect(new Set(modules.map(({ file }) => zoneOf(file)))).toEqual(
      new Set([...Object.keys(ZONES), COMPOSITION, 'testing']),
    )
  })

  it('has no import against the table', () => {
    expect(violations(modules)).toEqual([])
  })

  it.each([
    [{ file: 'lib/x.ts', imports: ['../plan/y.ts'] }, 'lib/ may import only lib'],
    [{ file: 'data-plane/a/x.ts', imports: ['zod'] }, 'may not use'],
    [{ file: 'protocols/a/x.ts', imports: ['../b/y.ts'] }, 'must not know each other'],
    [{ file: 'lib/x.ts', imports: ['./y.test.ts'] }, 'test code'],
    [{ file: 'plan/x.ts', imports: ['../testing/y.ts'] }, 'test code'],
    [{ file: 'control-plane/x.ts', imports: ['../registry.ts'] }, 'may import only'],
  ])('notices the planted violation %j', (planted, message) => {
    expect(violations([...modules, planted]).join()).toContain(message)
  })

  it('has no import cycle, and would notice one', () => {
    const values = modules.filter(({ file }) => !isTest(file))
    expect(findCycle(loadedAtStart(values))).toBeNull()
    const planted = [
      { file: 'lib/p.ts', imports: ['./q.ts'] },
      { file: 'lib/q.ts', imports: ['./p.ts'] },
    ]
    expect(findCycle(planted)).toEqual(['lib/p.ts', 'lib/q.ts', 'lib/p.ts'])
  })
})

/** Types are erased and dynamic imports run later, so that neither can make a cycle at load. */
function loadedAtStart(modules: readonly Module[]): readonly Module[] {
  return modules.map(({ file }) => {
    const text = readFileSync(path.join(SOURCE, file), 'utf8')
    const values = text.replace(/^import type [^'"]*?from '[^']+'/gm, '')
    return { file, imports: matches(values, STATIC) }
  })
}
