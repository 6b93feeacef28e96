import { describe, expect, it } from 'vitest'
import { runSeed } from './run-seed.ts'

const SEEDS = 30
/** Each found something once; see the tests of the modules. */
const FOUND = [59, 362, 397] as const

describe('the money core, simulated', () => {
  it.each([...Array.from({ length: SEEDS }, (_, seed) => seed), ...FOUND])(
    'keeps its promises: seed %i',
    (seed) => {
      const { problem, admitted } = runSeed(seed)
      expect(problem).toBeNull()
      expect(admitted).toBeGreaterThan(0)
    },
  )

  it('does the same again for the same seed, and something else for another', () => {
    expect(runSeed(7).hash).toBe(runSeed(7).hash)
    expect(runSeed(7).hash).not.toBe(runSeed(8).hash)
  })
})
