import { describe, expect, it } from 'vitest'
import { WarmCaches } from './warm-caches.ts'

describe('WarmCaches', () => {
  it('knows the latest target of a conversation for five minutes', () => {
    const caches = new WarmCaches()
    caches.note('a', { target: 'p/m', tokens: 100 }, 0)
    caches.note('b', { target: 'q/m', tokens: 5 }, 0)
    expect(caches.of('a', 300_000)).toMatchObject({ target: 'p/m', tokens: 100 })
    expect(caches.of('a', 300_001)).toBeNull()
    caches.note('b', { target: 'p/m', tokens: 0 }, 1)
    expect(caches.of('b', 2)).toBeNull()
    expect(caches.of('c', 2)).toBeNull()
  })

  it('holds a bounded number of conversations', () => {
    const caches = new WarmCaches()
    for (let i = 0; i <= 20_000; i++) caches.note(`s${i}`, { target: 't', tokens: 1 }, 0)
    expect(caches.of('s0', 0)).toBeNull()
    expect(caches.of('s1', 0)).not.toBeNull()
  })
})
