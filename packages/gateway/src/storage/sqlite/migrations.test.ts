import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Engine, openEngine } from './engine.ts'
import { migrate } from './migrations.ts'

let directory: string
let first: Engine
let second: Engine

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tollgate-migrations-'))
  const settings = { path: join(directory, 'tollgate.db'), readOnly: false }
  first = await openEngine('node:sqlite', settings)
  second = await openEngine('node:sqlite', settings)
})

afterEach(async () => {
  first.close()
  second.close()
  await rm(directory, { recursive: true })
})

describe('migrate', () => {
  it.each([0, 1])('finds it done when another opener did it before its look no. %i', (before) => {
    let looks = 0
    const interrupted: Engine = {
      ...first,
      query: (sql, parameters) => {
        if (looks++ === before) migrate(second, 1)
        return first.query(sql, parameters)
      },
    }
    migrate(interrupted, 2)
    const applied = 'SELECT DISTINCT applied_at_ms AS at FROM schema_migrations'
    expect(first.query(applied, []).rows).toEqual([{ at: 1 }])
  })
})
