import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'
import { CLIENTS } from './clients.ts'
import { conformancePage, PAGE } from './page.ts'

it('the page says what the tests run; else: node e2e/conformance/write-page.ts', () => {
  expect(readFileSync(PAGE, 'utf8')).toBe(`${conformancePage()}\n`)
})

it.each(Object.keys(CLIENTS))('%s is run', (file) => {
  const test = path.join(import.meta.dirname, file)
  expect(existsSync(test) && readFileSync(test, 'utf8')).toContain(`conformance('${file}')`)
})
