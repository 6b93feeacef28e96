import { isRecord } from '../lib/is-record.ts'
import { REDACTED } from './secret-registry.ts'

const MOST_DEPTH = 6
const MOST_ITEMS = 100
const MOST_CHARACTERS = 8192

/** Whole names. */
const SECRET_NAMES: ReadonlySet<string> = new Set(['key', 'auth', 'pass', 'pwd', 'hash'])
/** Endings, after case, `-` and `_` are taken out: `x-goog-api-key`, `set_cookie`, `accessToken`. */
const SECRET_ENDINGS = [
  'authorization',
  'apikey',
  'accesskey',
  'secretkey',
  'privatekey',
  'hashkey',
  'masterkey',
  'cookie',
  'secret',
  'secrets',
  'password',
  'passphrase',
  'credential',
  'credentials',
  'token',
  'signature',
]

/** A copy fit for a log line: secrets out by name, errors as text, depth, breadth and length bounded. */
export function redactFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return copyRecord(fields, 0)
}

/** Numbers and booleans stay: `max_token: 5` is no secret. */
function copyRecord(
  fields: Readonly<Record<string, unknown>>,
  depth: number,
): Record<string, unknown> {
  const copy: Record<string, unknown> = {}
  let count = 0
  for (const name in fields) {
    if (++count > MOST_ITEMS) break
    const value = fields[name]
    const hide = value !== null && typeof value !== 'number' && typeof value !== 'boolean'
    copy[name] =
      hide && value !== undefined && isSecretName(name) ? REDACTED : copyValue(value, depth)
  }
  return copy
}

function copyValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') {
    return value.length > MOST_CHARACTERS ? `${value.slice(0, MOST_CHARACTERS)}…` : value
  }
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null) return value
  if (depth >= MOST_DEPTH) return '[deep]'
  if (value instanceof Error) return copyError(value, depth)
  if (Array.isArray(value)) {
    return value.slice(0, MOST_ITEMS).map((item) => copyValue(item, depth + 1))
  }
  if (value instanceof Uint8Array) return `[${value.length} bytes]`
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  return isRecord(value) ? copyRecord(value, depth + 1) : null
}

function copyError(error: Error, depth: number): Record<string, unknown> {
  const copy = copyRecord(Object.fromEntries(Object.entries(error)), depth + 1)
  copy['type'] = error.name
  copy['message'] = copyValue(error.message, depth)
  copy['stack'] = copyValue(error.stack, depth)
  if (error.cause !== undefined) copy['cause'] = copyValue(error.cause, depth + 1)
  return copy
}

/** Verdicts by name; names are few, and bounded in case they are not. */
const verdicts = new Map<string, boolean>()
const MOST_VERDICTS = 2000

function isSecretName(name: string): boolean {
  const known = verdicts.get(name)
  if (known !== undefined) return known
  const plain = name.toLowerCase().replaceAll(/[-_. ]/g, '')
  const verdict = SECRET_NAMES.has(plain) || SECRET_ENDINGS.some((end) => plain.endsWith(end))
  if (verdicts.size < MOST_VERDICTS) verdicts.set(name, verdict)
  return verdict
}
