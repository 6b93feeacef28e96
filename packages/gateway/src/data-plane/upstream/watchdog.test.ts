import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { UNWATCHED, Watchdog, type Watched } from './watchdog.ts'

const TICK_MS = 50

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test('each one is told on every tick, whoever leaves meanwhile', () => {
  const watchdog = new Watchdog()
  const told: string[] = []
  const all = ['a', 'b', 'c', 'd', 'e'].map((name) => {
    const one: Watched & { name: string } = {
      name,
      watchedAt: UNWATCHED,
      onTick() {
        told.push(name)
        if (name === 'b' || name === 'd') watchdog.remove(one)
      },
    }
    watchdog.add(one)
    return one
  })
  vi.advanceTimersByTime(TICK_MS)
  expect(told.toSorted()).toEqual(['a', 'b', 'c', 'd', 'e'])
  told.length = 0
  vi.advanceTimersByTime(TICK_MS)
  expect(told.toSorted()).toEqual(['a', 'c', 'e'])
  expect(all.map(({ watchedAt }) => watchedAt !== UNWATCHED)).toEqual([
    true,
    false,
    true,
    false,
    true,
  ])
})

test('one that is removed twice takes nobody else along', () => {
  const watchdog = new Watchdog()
  const told: string[] = []
  const [a, b] = ['a', 'b'].map((name) => ({
    watchedAt: UNWATCHED,
    onTick: () => void told.push(name),
  }))
  if (a === undefined || b === undefined) throw new TypeError('two were made')
  watchdog.add(a)
  watchdog.add(b)
  watchdog.remove(a)
  watchdog.remove(a)
  vi.advanceTimersByTime(TICK_MS)
  expect(told).toEqual(['b'])
})

test('a watchdog with nobody to watch keeps no timer', () => {
  const watchdog = new Watchdog()
  const one: Watched = { watchedAt: UNWATCHED, onTick: () => watchdog.remove(one) }
  watchdog.add(one)
  expect(vi.getTimerCount()).toBe(1)
  vi.advanceTimersByTime(2 * TICK_MS)
  expect(vi.getTimerCount()).toBe(0)
})
