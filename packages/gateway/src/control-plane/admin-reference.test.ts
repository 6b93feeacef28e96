import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { adminRoutes } from './admin-app.ts'
import { ADMIN_CODES } from './admin-error.ts'
import { PUBLIC_PATHS } from './public-routes.ts'

const PAGE = readFileSync(
  new URL('../../../../docs/reference/admin-api.md', import.meta.url),
  'utf8',
)

describe('docs/reference/admin-api.md', () => {
  it('lists exactly the error codes, with their statuses', () => {
    const listed = [...PAGE.matchAll(/^\| `([a-z_]+)` \| (\d{3}) \|/gm)].map(([, code, status]) => [
      code,
      Number(status),
    ])
    expect(Object.fromEntries(listed)).toEqual(ADMIN_CODES)
  })

  it.each(adminRoutes().map(({ method, path }) => [method, path]))(
    'names %s %s',
    (method, path) => {
      // Of two routes that differ in the last word, the second is named by that word.
      const word = path.slice(path.lastIndexOf('/'))
      expect(PAGE.includes(`${method} ${path}`) || PAGE.includes(`\`${word}\``)).toBe(true)
    },
  )

  it.each(PUBLIC_PATHS)('names %s', (path) => expect(PAGE).toContain(`\`${path}\``))
})
