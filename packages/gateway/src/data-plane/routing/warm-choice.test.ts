import { describe, expect, it } from 'vitest'
import { BUILT_IN_MODES, NO_HINTS, NO_NEEDS, type Strategy } from '../../contracts/routing.ts'
import { testPlan } from '../../plan/testing/plan-fixtures.ts'
import { Rotations } from './rotations.ts'
import type { SelectQuery } from './select-query.ts'
import { select } from './selector.ts'
import { propensities, ThompsonBandit, USUAL_FORGETTING } from './thompson-bandit.ts'
import type { WarmCache } from './warm-caches.ts'

const PRICE = { input: 10, output: 1, cache_read: 1 }
const provider = (name: string): object => ({
  protocol: 'openai-chat',
  base_url: `http://${name}.test:9`,
  credential: 'none',
})
const model = testPlan({
  providers: { one: provider('one'), other: provider('other') },
  models: {
    m: {
      targets: [
        { provider: 'one', price: PRICE },
        { provider: 'other', price: { ...PRICE, input: 9 } },
      ],
    },
  },
}).models.get('m')

function choose(strategy: Strategy, warm: WarmCache | null, seed: number) {
  const query: SelectQuery = {
    seed,
    seedText: `seed ${seed}`,
    nowMs: 0,
    wallMs: 0,
    strategy,
    mode: 'cheap',
    weights: BUILT_IN_MODES['cheap'] ?? { cost: 1, latency: 0, failure: 0, weight: 0 },
    hints: NO_HINTS,
    needs: NO_NEEDS,
    size: { counted: null, boundTokens: 9000, roughTokens: 9000, outputCap: 10, choices: 1 },
    mustBePriced: false,
    arm: { size: 'medium', tools: false },
    warm,
    checks: { permits: () => true, reaches: () => true, hasRoom: () => true },
    book: null,
    bandit: new ThompsonBandit(() => USUAL_FORGETTING),
    rotations: new Rotations(),
  }
  return select(model?.targets ?? [], query, 'm').candidates
}

const WARM: WarmCache = { target: 'one/m', tokens: 8000 }

describe('a warm prompt cache', () => {
  it('makes the dearer target the cheaper one by score', () => {
    expect(choose('score', null, 1)[0]?.target).toBe('other/m')
    const [first] = choose('score', WARM, 1)
    expect(first).toMatchObject({ target: 'one/m', savedNanoUsd: 8000 * 9000 })
    expect(choose('score', { ...WARM, tokens: 10 }, 1)[0]?.target).toBe('other/m')
  })

  it('raises the draw of the bandit by what it is worth, and the log knows', () => {
    const rounds = 4000
    let firsts = 0
    let chance = 0
    for (let seed = 0; seed < rounds; seed++) {
      const candidates = choose('thompson', WARM, seed)
      if (candidates[0]?.target === 'one/m') firsts++
      const drawn = candidates.map(({ alpha = 1, beta = 1, bonus = 0 }) => ({ alpha, beta, bonus }))
      const place = candidates.findIndex(({ target }) => target === 'one/m')
      chance = propensities(drawn)[place] ?? 0
    }
    expect(firsts / rounds).toBeGreaterThan(0.6)
    expect(Math.abs(firsts / rounds - chance)).toBeLessThan(0.03)
  })
})
