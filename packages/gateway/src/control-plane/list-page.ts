import type { Page } from './admin-api.ts'
import { AdminError } from './admin-error.ts'

export const DEFAULT_PAGE_ITEMS = 100
export const MAX_PAGE_ITEMS = 1000

/**
 * One page of a list that is sorted by a text that no two items share. The cursor is that text of the last item, so an
 * item that comes or goes between two pages is never shown twice and shifts nothing.
 */
export function pageOf<T>(
  sorted: readonly T[],
  orderOf: (item: T) => string,
  query: { readonly limit?: number; readonly cursor?: string },
): Page<T> {
  const limit = query.limit ?? DEFAULT_PAGE_ITEMS
  const after = query.cursor === undefined ? null : readCursor(query.cursor)
  const rest = after === null ? sorted : sorted.filter((item) => orderOf(item) > after)
  const items = rest.slice(0, limit)
  const last = items.at(-1)
  const more = rest.length > limit && last !== undefined
  return { items, total: sorted.length, next: more ? writeCursor(orderOf(last)) : null }
}

/** By the same text that `pageOf` is given; code units, so that it agrees with `>`. */
export function sortedBy<T>(items: readonly T[], orderOf: (item: T) => string): readonly T[] {
  const ordered = items.map((item) => ({ item, order: orderOf(item) }))
  ordered.sort((a, b) => (a.order < b.order ? -1 : 1))
  return ordered.map(({ item }) => item)
}

const CURSOR_MARK = 'after:'

function writeCursor(order: string): string {
  return Buffer.from(CURSOR_MARK + order).toString('base64url')
}

function readCursor(cursor: string): string {
  const text = Buffer.from(cursor, 'base64url').toString()
  if (text.startsWith(CURSOR_MARK)) return text.slice(CURSOR_MARK.length)
  throw new AdminError('invalid_request', 'cursor must be the `next` of an earlier page.', {
    path: 'cursor',
  })
}
