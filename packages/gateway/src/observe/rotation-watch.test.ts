import { expect, it } from 'vitest'
import { testKey } from '../plan/testing/plan-fixtures.ts'
import { createRotationWatch } from './rotation-watch.ts'

const DAY_MS = 86_400_000

it('tells of a key once for each period that it is due', () => {
  const watch = createRotationWatch()
  const key = testKey({ createdAtMs: 0, rotateEveryMs: DAY_MS })
  const told = [0.5, 1, 1.5, 1.9, 2, 2.1, 5.5].map((days) => watch([key], days * DAY_MS).length)
  expect(told).toEqual([0, 1, 0, 0, 1, 0, 1])
  const rotated = { ...key, rotatedAtMs: 5.6 * DAY_MS }
  expect(watch([rotated], 6 * DAY_MS)).toEqual([])
  expect(watch([rotated], 6.6 * DAY_MS)).toEqual([{ key: rotated, dueAtMs: 6.6 * DAY_MS }])
})

it('says nothing of keys that are refused anyway, or may grow as old as they like', () => {
  const overdue = { createdAtMs: 0, rotateEveryMs: DAY_MS }
  const keys = [
    testKey(),
    testKey({ ...overdue, id: 'key_2', enabled: false }),
    testKey({ ...overdue, id: 'key_3', revokedAtMs: 1 }),
    testKey({ ...overdue, id: 'key_4', expiresAtMs: 1 }),
  ]
  expect(createRotationWatch()(keys, 9 * DAY_MS)).toEqual([])
})
