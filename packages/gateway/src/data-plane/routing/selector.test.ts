import { describe, expect, it } from 'vitest'
import {
  BUILT_IN_MODES,
  NO_HINTS,
  REJECTION_REASONS,
  STRATEGIES,
  type Strategy,
} from '../../contracts/routing.ts'
import { drawAt, seedOf } from '../../lib/seeded-draw.ts'
import type { TargetPlan } from '../../plan/gateway-plan.ts'
import {
  BARE_PROVIDER,
  fixedBook,
  flatPrice,
  routingTarget,
  selectQuery,
} from '../../testing/routing-fixtures.ts'
import { Rotations } from './rotations.ts'
import type { SelectQuery } from './select-query.ts'
import { select } from './selector.ts'

const SEEDS = 10_000

function orderOf(targets: readonly TargetPlan[], query: SelectQuery): string {
  return select(targets, query, 'route')
    .order.map(({ id }) => id)
    .join('')
}

/** How often each came first over many requests. */
function firsts(
  targets: readonly TargetPlan[],
  over: Partial<SelectQuery>,
): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (let i = 0; i < SEEDS; i++) {
    const [first] = select(targets, selectQuery(`req_${i}`, over), 'route').order
    const id = first?.id ?? ''
    counts[id] = (counts[id] ?? 0) + 1
  }
  return counts
}

/** Three standard deviations of a share over all seeds. */
function expectShare(count: number | undefined, share: number): void {
  const sigma = Math.sqrt(SEEDS * share * (1 - share))
  expect(Math.abs((count ?? 0) - SEEDS * share)).toBeLessThanOrEqual(3 * sigma)
}

const A = routingTarget('a', { weight: 5 })
const B = routingTarget('b', { weight: 3 })
const C = routingTarget('c', { weight: 2 })
const NONE = routingTarget('z', { weight: 0 })

describe('what is left out', () => {
  const cases: readonly [string, TargetPlan, Partial<SelectQuery>][] = [
    ['disabled', routingTarget('x', { enabled: false }), {}],
    ['not_allowed', A, { checks: { permits: () => false, reaches: no, hasRoom: no } }],
    ['capability', A, { checks: { permits: () => true, reaches: no, hasRoom: no } }],
    [
      'capability',
      routingTarget('x', { lacks: ['vision', 'tools'] }),
      { needs: { ...selectQuery('').needs, tools: true } },
    ],
    ['context_overflow', routingTarget('x', { contextTokens: 499 }), {}],
    [
      'below_min_weight',
      routingTarget('x', { weight: 1 }),
      { hints: { ...NO_HINTS, minWeight: 2 } },
    ],
    [
      'over_max_cost',
      routingTarget('x', { price: flatPrice(10) }),
      { hints: { ...NO_HINTS, maxCostNanoUsd: 1_999_999 } },
    ],
    [
      'over_max_latency',
      A,
      {
        book: fixedBook({ a: { latencyMs: 301 } }),
        hints: { ...NO_HINTS, maxLatencyMs: 300 },
      },
    ],
    ['unpriced', routingTarget('x', { price: null }), { mustBePriced: true }],
    ['credential_missing', routingTarget('x', { provider: BARE_PROVIDER }), {}],
    ['circuit_open', A, { book: fixedBook({}, { a: block('circuit_open') }) }],
    ['cooldown', A, { book: fixedBook({}, { a: block('cooldown') }) }],
    ['limit', A, { checks: { permits: () => true, reaches: () => true, hasRoom: no } }],
  ]

  it.each(cases)('%s', (reason, target, over) => {
    const { order, candidates } = select([target], selectQuery('s', over), 'route')
    expect(order).toEqual([])
    expect(candidates).toEqual([
      { target: target.id, rejected: reason, detail: expect.stringMatching(/./) },
    ])
  })

  it('has a case for every reason', () => {
    const tried = new Set(cases.map(([reason]) => reason))
    expect(REJECTION_REASONS.filter((reason) => !tried.has(reason))).toEqual([])
  })

  it('stays within bounds that are just met', () => {
    const exact = routingTarget('x', { contextTokens: 500, price: flatPrice(10), weight: 2 })
    const hints = { mode: null, maxCostNanoUsd: 2_000_000, maxLatencyMs: 300, minWeight: 2 }
    const book = fixedBook({ x: { latencyMs: 300 } })
    expect(orderOf([exact], selectQuery('s', { hints, book }))).toBe('x')
  })

  it('goes by the count of the target’s own tokenizer, where it was counted', () => {
    const size = {
      counted: { o200k_base: 90, cl100k_base: 120 },
      boundTokens: 4000,
      roughTokens: 1000,
      outputCap: null,
      choices: 1,
    }
    const mine = routingTarget('m', { contextTokens: 100, tokenizer: 'o200k_base' })
    const older = routingTarget('o', { contextTokens: 100, tokenizer: 'cl100k_base' })
    const unknown = routingTarget('u', { contextTokens: 100 })
    expect(orderOf([older, mine, unknown], selectQuery('s', { size }))).toBe('mu')
  })

  it.each(STRATEGIES)('never comes back, whatever the order: %s', (strategy) => {
    const bad = [
      routingTarget('bad1', { enabled: false }),
      routingTarget('bad2', { lacks: ['tools'] }),
      routingTarget('bad3', { contextTokens: 499 }),
      routingTarget('bad4', { provider: BARE_PROVIDER }),
    ]
    const needs = { ...selectQuery('').needs, tools: true }
    for (let i = 0; i < 200; i++) {
      const query = selectQuery(`s${i}`, { strategy, needs })
      const { order, candidates } = select([...bad, A, B], query, 'route')
      expect(order.map(({ id }) => id).toSorted()).toEqual(['a', 'b'])
      expect(candidates.slice(0, 2).map(({ rejected }) => rejected)).toEqual([null, null])
      expect(candidates.slice(2).every(({ rejected }) => rejected !== null)).toBe(true)
    }
  })
})

function no(): boolean {
  return false
}

function block(reason: 'circuit_open' | 'cooldown'): {
  readonly reason: typeof reason
  readonly failure: null
  readonly untilMs: number
} {
  return { reason, failure: null, untilMs: 1500 }
}

describe('the strategies', () => {
  it.each(STRATEGIES)('%s holds every target once, the same for the same seed', (strategy) => {
    const targets = [A, B, C, NONE]
    for (let i = 0; i < 100; i++) {
      const query = selectQuery(`r${i}`, { strategy, rotations: new Rotations() })
      const again = { ...query, rotations: new Rotations() }
      expect(orderOf(targets, query).split('').toSorted().join('')).toBe('abcz')
      expect(orderOf(targets, again)).toBe(
        orderOf(targets, { ...query, rotations: new Rotations() }),
      )
    }
  })

  it('priority: as written', () => {
    expect(orderOf([B, A, C], selectQuery('s'))).toBe('bac')
  })

  it('weighted: the first by weight, and so the second when the first is gone', () => {
    const counts = firsts([A, B, C, NONE], { strategy: 'weighted' })
    expectShare(counts['a'], 0.5)
    expectShare(counts['b'], 0.3)
    expectShare(counts['c'], 0.2)
    expect(counts['z']).toBeUndefined()
    const seconds = { b: 0, c: 0 }
    let withA = 0
    for (let i = 0; i < SEEDS; i++) {
      const order = orderOf([A, B, C], selectQuery(`req_${i}`, { strategy: 'weighted' }))
      if (!order.startsWith('a')) continue
      withA += 1
      if (order[1] === 'b') seconds.b += 1
    }
    const sigma = Math.sqrt(withA * 0.6 * 0.4)
    expect(Math.abs(seconds.b - withA * 0.6)).toBeLessThanOrEqual(3 * sigma)
  })

  it('weighted: all alike without any weight', () => {
    const counts = firsts([NONE, routingTarget('y', { weight: 0 })], { strategy: 'weighted' })
    expectShare(counts['z'], 0.5)
    expect(Object.keys(counts)).toHaveLength(2)
  })

  it('round_robin: exactly by weight, without runs', () => {
    const rotations = new Rotations()
    const query = selectQuery('s', { strategy: 'round_robin', rotations })
    const firstOf = (): string => orderOf([A, B, C, NONE], query).slice(0, 1)
    const turns = Array.from({ length: 10 }, firstOf)
    expect(turns.toSorted().join('')).toBe('aaaaabbbcc')
    expect(turns.join('')).not.toMatch(/aaa|bb|cc/)
    expect(orderOf([A, B, C, NONE], query).endsWith('z')).toBe(true)
  })

  it('round_robin: equal ones in turn, and each name for itself', () => {
    const rotations = new Rotations()
    const query = selectQuery('s', { strategy: 'round_robin', rotations })
    const equal = ['x', 'y', 'w'].map((id) => routingTarget(id))
    const orders = Array.from({ length: 4 }, () => orderOf(equal, query))
    expect(orders).toEqual(['xyw', 'ywx', 'wxy', 'xyw'])
    expect(select(equal, query, 'other').order[0]?.id).toBe('x')
  })

  it('round_robin: looking ahead takes no turn', () => {
    const rotations = new Rotations()
    const query = selectQuery('s', { strategy: 'round_robin', rotations })
    const ahead = { ...query, rotations: rotations.copy() }
    const seen = Array.from({ length: 5 }, () => orderOf([A, B], ahead))
    expect(Array.from({ length: 5 }, () => orderOf([A, B], query))).toEqual(seen)
  })

  it('least_busy: the fewest calls for the weight; ties by the seed', () => {
    const book = fixedBook({ a: { inFlight: 10 }, b: { inFlight: 3 }, c: { inFlight: 4 } })
    expect(orderOf([A, B, C], selectQuery('s', { strategy: 'least_busy', book }))).toBe('bac')
    const even = [routingTarget('x'), routingTarget('y')]
    expectShare(firsts(even, { strategy: 'least_busy' })['x'], 0.5)
  })

  it('latency: of three, the best two times of three, the worst never', () => {
    const book = fixedBook({ a: { latencyMs: 100 }, b: { latencyMs: 200 }, c: { latencyMs: 300 } })
    const counts = firsts([C, B, A], { strategy: 'latency', book })
    expectShare(counts['a'], 2 / 3)
    expectShare(counts['b'], 1 / 3)
    expect(counts['c']).toBeUndefined()
    const { candidates } = select([C, B, A], selectQuery('s', { strategy: 'latency', book }), '')
    const chances = Object.fromEntries(candidates.map((one) => [one.target, one.propensity]))
    expect(chances).toEqual({ a: 2 / 3, b: 1 / 3, c: 0 })
  })

  it('latency: calls under way count, and what was never seen is tried once', () => {
    const busy = fixedBook({ a: { latencyMs: 100, inFlight: 9 }, b: { latencyMs: 500 } })
    expect(firsts([A, B], { strategy: 'latency', book: busy })).toEqual({ b: SEEDS })
    const unseen = fixedBook({ a: { latencyMs: 100 } })
    expect(firsts([A, B], { strategy: 'latency', book: unseen })).toEqual({ b: SEEDS })
    const tried = fixedBook({ a: { latencyMs: 100 }, b: { inFlight: 1 } })
    expect(firsts([A, B], { strategy: 'latency', book: tried })).toEqual({ a: SEEDS })
  })

  it('ties of any number are shared', () => {
    const even = Array.from({ length: 5 }, (_, i) => routingTarget(String(i)))
    for (const strategy of ['least_busy', 'latency', 'score'] satisfies readonly Strategy[]) {
      const counts = firsts(even, { strategy })
      for (const { id } of even) expectShare(counts[id], 0.2)
      expect(Object.keys(counts)).toHaveLength(5)
    }
  })
})

describe('the score', () => {
  const cheap = routingTarget('c', { price: flatPrice(1), weight: 2 })
  const quick = routingTarget('q', { price: flatPrice(8), weight: 4 })
  const heavy = routingTarget('h', { price: flatPrice(10), weight: 10 })
  const book = fixedBook({
    c: { latencyMs: 900, failureShare: 0.1 },
    q: { latencyMs: 200 },
    h: { latencyMs: 1000, failureShare: 0.05 },
  })

  it.each([
    ['cheap', 'cqh'],
    ['normal', 'qhc'],
    ['high_confidence', 'hqc'],
    ['planning', 'hqc'],
    ['adversarial', 'hqc'],
  ])('in the mode %s', (mode, order) => {
    const weights = BUILT_IN_MODES[mode] ?? selectQuery('').weights
    const query = selectQuery('s', { strategy: 'score', mode, weights, book })
    expect(orderOf([cheap, quick, heavy], query)).toBe(order)
  })

  it('is the formula, term by term', () => {
    const weights = { cost: 0.7, latency: 0.1, failure: 0.1, weight: 0.1 }
    const query = selectQuery('s', { strategy: 'score', weights, book })
    const { candidates } = select([cheap, quick, heavy], query, 'route')
    const scores = Object.fromEntries(candidates.map((one) => [one.target, one.score]))
    expect(scores['c']).toBeCloseTo(0.7 * 0.1 + 0.1 * 0.9 + 0.1 * 1 - 0.1 * 0.2, 5)
    expect(scores['q']).toBeCloseTo(0.7 * 0.8 + 0.1 * 0.2 + 0 - 0.1 * 0.4, 5)
    expect(scores['h']).toBeCloseTo(0.7 + 0.1 + 0.1 * 0.5 - 0.1, 5)
  })

  it('has an unpriced target as the dearest, and a degraded one behind its equal', () => {
    const weights = { cost: 1, latency: 0, failure: 0, weight: 0 }
    const free = routingTarget('f', { price: null })
    const three = selectQuery('s', { strategy: 'score', weights })
    expect(orderOf([free, quick, cheap], three)).toMatch(/^c/)
    const sick = fixedBook({ a: { state: 'degraded' }, b: { state: 'down' } })
    const equal = [routingTarget('b'), routingTarget('a'), routingTarget('c')]
    expect(orderOf(equal, selectQuery('s', { strategy: 'score', book: sick }))).toBe('cab')
  })

  it('takes the maxima of those that are left, not of those that are out', () => {
    const out = routingTarget('o', { price: flatPrice(1000), enabled: false })
    const query = selectQuery('s', { strategy: 'score', book })
    const scoresOf = (targets: readonly TargetPlan[]): unknown =>
      select(targets, query, 'route').candidates.flatMap(({ score }) => score ?? [])
    expect(scoresOf([cheap, quick, out])).toEqual(scoresOf([cheap, quick]))
  })
})

describe('seeded draws', () => {
  it('are uniform, and none depends on another', () => {
    const buckets = Array.from({ length: 20 }, () => 0)
    let product = 0
    for (let i = 0; i < SEEDS; i++) {
      const seed = seedOf(`req_${i}`)
      const [one, other] = [drawAt(seed, 0), drawAt(seed, 1)]
      expect(one > 0 && one < 1).toBe(true)
      const bucket = Math.floor(one * 20)
      buckets[bucket] = (buckets[bucket] ?? 0) + 1
      product += (one - 0.5) * (other - 0.5)
    }
    for (const count of buckets) expectShare(count, 1 / 20)
    // The variance of the product of two independent uniform draws is 1/144.
    expect(Math.abs(product / SEEDS)).toBeLessThan(3 * Math.sqrt(1 / 144 / SEEDS))
  })
})
