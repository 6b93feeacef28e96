import * as z from 'zod'
import { didYouMean } from '../lib/did-you-mean.ts'
import type { PathSegment } from './config-error.ts'

/** A problem before its place in the file is known. `onKey`: the place is the member's name, not its value. */
export type Finding = {
  readonly path: readonly PathSegment[]
  readonly message: string
  readonly onKey: boolean
  /** The value stands where a secret reference must. */
  readonly secret: boolean
}

export type Validation<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly findings: readonly Finding[] }

/** All problems at once, in plain words. */
export function validate<T>(schema: z.ZodType<T>, input: unknown): Validation<T> {
  const hostile = protoPaths(input, [])
  if (hostile.length > 0) return { ok: false, findings: hostile }
  const result = schema.safeParse(input, { error: messageOf })
  if (result.success) return { ok: true, value: result.data }
  return { ok: false, findings: result.error.issues.flatMap((issue) => findingsOf(issue, [])) }
}

/** Of an object with exactly these members: unknown names are errors that name the nearest known one. */
export function strict<Shape extends z.core.$ZodLooseShape>(
  shape: Shape,
): z.ZodObject<Shape, z.core.$strict> {
  const known = Object.keys(shape)
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => `unknown key "${key}"${didYouMean(key, known)}`).join('\n')
        : undefined,
  })
}

export const NOT_AVAILABLE = 'not available in this version'

/** Valid as written, but not built yet: validated first, then refused. Absent is fine. */
export function unavailable(schema: z.ZodType): z.ZodExactOptional {
  return z.exactOptional(
    schema.superRefine((_value, ctx) => ctx.addIssue({ code: 'custom', message: NOT_AVAILABLE })),
  )
}

/** A text that `parse` takes; what `parse` throws is the problem. */
export function parsedText(parse: (text: string) => unknown): z.ZodString {
  return z.string().superRefine((text, ctx) => {
    try {
      parse(text)
    } catch (cause) {
      ctx.addIssue({
        code: 'custom',
        message: cause instanceof Error ? cause.message : String(cause),
      })
    }
  })
}

/** A text for which `problemOf` finds none. */
export function checkedText(problemOf: (text: string) => string | null): z.ZodString {
  return z.string().superRefine((text, ctx) => {
    const message = problemOf(text)
    if (message !== null) ctx.addIssue({ code: 'custom', message })
  })
}

type Issue = z.core.$ZodIssue

function findingsOf(issue: Issue, parent: readonly PathSegment[]): readonly Finding[] {
  const path = [...parent, ...issue.path.map(asSegment)]
  if (issue.code === 'unrecognized_keys') {
    const messages = issue.message.split('\n')
    return issue.keys.map((key, i) => finding([...path, key], messages[i] ?? issue.message, true))
  }
  if (issue.code === 'invalid_union') return unionFindings(issue, path)
  if (issue.code === 'invalid_key') {
    return issue.issues.map((inner) => finding(path, inner.message, true))
  }
  const secret = issue.code === 'custom' && issue.params?.['secret'] === true
  return [{ path, message: issue.message, onKey: false, secret }]
}

type UnionIssue = Extract<Issue, { code: 'invalid_union' }>

/** Of the alternatives, the one that was meant: where something deeper is wrong, else where at least the type fits. */
function unionFindings(issue: UnionIssue, path: readonly PathSegment[]): readonly Finding[] {
  const meant =
    issue.errors.find((branch) => branch.every((inner) => inner.path.length > 0)) ??
    issue.errors.find((branch) => branch.every((inner) => wantedTypes(inner).length === 0))
  if (meant !== undefined) return meant.flatMap((inner) => findingsOf(inner, path))
  const wanted = new Set(issue.errors.flat().flatMap(wantedTypes))
  return [finding(path, `expected ${[...wanted].join(' or ')}`, false)]
}

/** The types that the value itself should have had; empty when its type is not what is wrong. */
function wantedTypes(issue: Issue): readonly string[] {
  if (issue.path.length > 0) return []
  if (issue.code === 'invalid_type') return [typeName(issue.expected)]
  return issue.code === 'invalid_union' ? issue.errors.flat().flatMap(wantedTypes) : []
}

function finding(path: readonly PathSegment[], message: string, onKey: boolean): Finding {
  return { path, message, onKey, secret: false }
}

function asSegment(segment: PropertyKey): PathSegment {
  return typeof segment === 'symbol' ? String(segment) : segment
}

const TYPE_NAMES: ReadonlyMap<string, string> = new Map([
  ['string', 'a text'],
  ['number', 'a number'],
  ['int', 'a whole number'],
  ['boolean', 'true or false'],
  ['array', 'a list'],
  ['object', 'an object'],
  ['record', 'an object'],
])

function typeName(expected: string): string {
  return TYPE_NAMES.get(expected) ?? expected
}

function nameOfType(value: unknown): string {
  if (value === null) return 'nothing (null)'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'number' && !Number.isFinite(value)) return 'a number that is not finite'
  return TYPE_NAMES.get(typeof value) ?? typeof value
}

/** Messages in our own words; undefined leaves the library's. */
function messageOf(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === 'invalid_type') {
    if (issue.input === undefined) return 'is required'
    return `expected ${typeName(issue.expected)}, got ${nameOfType(issue.input)}`
  }
  if (issue.code === 'invalid_value') return enumMessage(issue.values.map(String), issue.input)
  if (issue.code === 'too_small') {
    const bound = issue.inclusive === false ? 'more than' : 'at least'
    return sizeMessage(issue.origin, bound, issue.minimum)
  }
  if (issue.code === 'too_big') return sizeMessage(issue.origin, 'at most', issue.maximum)
  return undefined
}

function enumMessage(values: readonly string[], input: unknown): string {
  if (typeof input !== 'string') return `expected one of: ${values.join(', ')}`
  return `unknown value ${JSON.stringify(input)}; one of: ${values.join(', ')}`
}

function sizeMessage(origin: string, bound: string, size: number | bigint): string {
  if (origin === 'string') return `must have ${bound} ${size} characters`
  if (origin === 'array') return `must have ${bound} ${size} entries`
  return `must be ${bound} ${size}`
}

/** A member named `__proto__` is skipped by the schema library, so it is refused before. */
function protoPaths(value: unknown, path: readonly PathSegment[]): readonly Finding[] {
  if (typeof value !== 'object' || value === null || path.length > MAX_DEPTH) return []
  if (Array.isArray(value)) return value.flatMap((item, i) => protoPaths(item, [...path, i]))
  return Object.entries(value).flatMap(([name, member]) =>
    name === '__proto__'
      ? [finding([...path, name], 'unknown key "__proto__"', true)]
      : protoPaths(member, [...path, name]),
  )
}

const MAX_DEPTH = 64
