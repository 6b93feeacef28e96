import type { Page } from '../control-plane/admin-api.ts'
import { isRecord } from '../lib/is-record.ts'
import type { AdminCall } from './cli-deps.ts'
import type { Guard } from './answers.ts'
import { CliError } from './cli-error.ts'
import { oneLine } from './plain-text.ts'

export type Query = Readonly<Record<string, string | number | undefined>>

/** The admin API, over HTTP or in this process. */
export type AdminClient = {
  /** False: no server runs, and this process works on the store. */
  readonly serving: boolean
  /** Of the running server; null without one, or when it is somewhere else. */
  readonly proxyUrl: string | null
  readonly adminUrl: string | null
  /** The body of the answer. Throws `CliError` with what the API says. */
  readonly request: (method: string, path: string, body?: unknown) => Promise<unknown>
  readonly close: () => Promise<void>
}

/** Statuses that mean that what was asked for is wrong, not that it failed. */
const USAGE_STATUSES: ReadonlySet<number> = new Set([400, 422])
const PAGE_ITEMS = 1000
const TIMEOUT_MS = 30_000
/** Reads up to a million records. */
const REPLAY_TIMEOUT_MS = 15 * 60_000
const REPLAY_PATH = '/policies/replay'

/** Over HTTP. `fetch` is the CLI's only client: it makes few calls, and the same types serve in-process. */
export function httpCall(token: string): AdminCall {
  return async (request) => {
    request.headers.set('authorization', `Bearer ${token}`)
    const timeoutMs = request.url.endsWith(REPLAY_PATH) ? REPLAY_TIMEOUT_MS : TIMEOUT_MS
    return await fetch(request, { signal: AbortSignal.timeout(timeoutMs), redirect: 'error' })
  }
}

export function requestThrough(call: AdminCall, adminUrl: string): AdminClient['request'] {
  return async (method, path, body) => {
    const response = await answer(call, adminUrl, { method, path, body })
    const text = await response.text()
    const parsed = parseJson(text)
    if (response.ok) return parsed
    throw toCliError(response.status, parsed)
  }
}

type Asked = { readonly method: string; readonly path: string; readonly body: unknown }

async function answer(call: AdminCall, adminUrl: string, asked: Asked): Promise<Response> {
  const { method, path, body } = asked
  const headers = { accept: 'application/json', 'content-type': 'application/json' }
  const request = new Request(`${adminUrl}/admin/v1${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  try {
    return await call(request)
  } catch (cause) {
    throw new CliError(`the admin API at ${adminUrl} does not answer (${reason(cause)}).`, 1, {
      cause,
    })
  }
}

function toCliError(status: number, body: unknown): CliError {
  const error = isRecord(body) && isRecord(body['error']) ? body['error'] : {}
  const { message, path, problems } = error
  const exitCode = USAGE_STATUSES.has(status) ? 2 : 1
  const listed = Array.isArray(problems) ? problems.filter(isRecord) : []
  if (listed.length > 0) return new CliError(listed.map(problemLine).join('\n'), exitCode)
  if (typeof message !== 'string') return new CliError(`the admin API answered ${status}.`)
  const named = typeof path !== 'string' || path === '' || message.includes(path)
  const text = named ? message : `${path}: ${message}`
  const hint = status === 401 ? ' Set TOLLGATE_ADMIN_TOKEN to the token of that server.' : ''
  return new CliError(oneLine(`${text}${hint}`), exitCode)
}

function problemLine({ path, line, message }: Readonly<Record<string, unknown>>): string {
  const where = typeof path === 'string' && path !== '' ? path : 'body'
  const at = typeof line === 'number' ? ` (line ${line})` : ''
  return oneLine(`${where}${at}: ${String(message)}`)
}

function parseJson(text: string): unknown {
  try {
    return text === '' ? null : JSON.parse(text)
  } catch {
    return null
  }
}

/** What lies at the bottom of a failed `fetch`. */
function reason(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  const inner = cause.cause
  if (isRecord(inner) && typeof inner['code'] === 'string') return inner['code']
  return cause.message
}

/** `/path?a=1`, without what is undefined. */
export function withQuery(path: string, query: Query): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parameters.set(name, String(value))
  }
  return parameters.size === 0 ? path : `${path}?${parameters.toString()}`
}

export type ListCall<T> = {
  readonly path: string
  readonly query?: Query
  readonly item: Guard<T>
}

/** Every page, one after the other. */
export async function* eachItem<T>(
  client: AdminClient,
  { path, query, item }: ListCall<T>,
): AsyncGenerator<T> {
  let cursor: string | undefined
  do {
    const url = withQuery(path, { ...query, limit: PAGE_ITEMS, cursor })
    const page = await client.request('GET', url)
    if (!isRecord(page) || !Array.isArray(page['items'])) throw unexpected(path)
    for (const one of page['items']) {
      if (!item(one)) throw unexpected(path)
      yield one
    }
    cursor = typeof page['next'] === 'string' ? page['next'] : undefined
  } while (cursor !== undefined)
}

/** The whole list as one page. */
export async function listAll<T>(client: AdminClient, call: ListCall<T>): Promise<Page<T>> {
  const items: T[] = []
  for await (const item of eachItem(client, call)) items.push(item)
  return { items, total: items.length, next: null }
}

export type OneCall<T> = {
  readonly method: string
  readonly path: string
  readonly body?: unknown
  readonly answer: Guard<T>
}

export async function requestOne<T>(
  client: AdminClient,
  { method, path, body, answer: guard }: OneCall<T>,
): Promise<T> {
  const answered = await client.request(method, path, body)
  if (!guard(answered)) throw unexpected(path)
  return answered
}

function unexpected(path: string): CliError {
  return new CliError(`the admin API answered ${path} with something else than this version knows.`)
}
