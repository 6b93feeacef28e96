import { headField, type RequestHead } from './request-head.ts'

const SESSION_HEADERS = ['x-claude-code-session-id', 'x-session-id'] as const
const MAX_SESSION_CHARS = 256

/** The conversation that a client says this request belongs to; null: it names none. */
export function sessionOf(head: RequestHead): string | null {
  for (const name of SESSION_HEADERS) {
    const value = headField(head, name)
    if (value !== null && value !== '') return value.slice(0, MAX_SESSION_CHARS)
  }
  return null
}
