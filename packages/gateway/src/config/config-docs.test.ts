import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { isRecord } from '../lib/is-record.ts'
import { configJsonSchema } from './config-schema.ts'
import { policyJsonSchema } from './policy-schema.ts'

function doc(path: string): string {
  return readFileSync(new URL(`../../../../docs/${path}`, import.meta.url), 'utf8')
}

function memberNames(schema: unknown, into: Set<string>): Set<string> {
  if (Array.isArray(schema)) for (const item of schema) memberNames(item, into)
  if (!isRecord(schema)) return into
  if (isRecord(schema['properties'])) {
    for (const name of Object.keys(schema['properties'])) into.add(name)
  }
  for (const member of Object.values(schema)) memberNames(member, into)
  return into
}

describe('the documentation', () => {
  it('names every field of a policy', () => {
    const text = doc('guides/policies.md') + doc('guides/limits.md')
    const missing = [...memberNames(policyJsonSchema(), new Set())].filter(
      (name) => !text.includes(name) && !['role', 'content', 'position'].includes(name),
    )
    expect(missing).toEqual([])
  })

  it('names every key of the configuration', () => {
    const text = doc('reference/config.md') + doc('guides/policies.md') + doc('guides/limits.md')
    const missing = [...memberNames(configJsonSchema(), new Set())].filter(
      (name) => !text.includes(name) && !['content', 'position'].includes(name),
    )
    expect(missing).toEqual([])
  })
})
