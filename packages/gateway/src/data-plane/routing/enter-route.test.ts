import { describe, expect, it } from 'vitest'
import type { AliasVariant } from '../../plan/gateway-plan.ts'
import { variantFor } from './enter-route.ts'

const VALUES = 10_000
const VARIANTS: readonly AliasVariant[] = [
  { model: 'a', weight: 6 },
  { model: 'b', weight: 3 },
  { model: 'c', weight: 1 },
]

function spread(variants: readonly AliasVariant[], name = 'alias'): readonly string[] {
  return Array.from({ length: VALUES }, (_, i) => {
    return variantFor({ name }, variants, `key_${i}`)?.model ?? ''
  })
}

function countOf(models: readonly string[], model: string): number {
  return models.filter((one) => one === model).length
}

describe('a sticky alias', () => {
  it('spreads values by weight', () => {
    const models = spread(VARIANTS)
    for (const { model, weight } of VARIANTS) {
      const share = weight / 10
      const sigma = Math.sqrt(VALUES * share * (1 - share))
      expect(Math.abs(countOf(models, model) - VALUES * share)).toBeLessThanOrEqual(3 * sigma)
    }
  })

  it('keeps each value where it is, whatever the order of the variants', () => {
    expect(spread(VARIANTS.toReversed())).toEqual(spread(VARIANTS))
  })

  it('moves only those that a new variant wins', () => {
    const before = spread(VARIANTS)
    const after = spread([...VARIANTS, { model: 'd', weight: 1 }])
    const moved = after.filter((model, i) => model !== before[i])
    expect(new Set(moved)).toEqual(new Set(['d']))
    expect(moved.length).toBe(countOf(after, 'd'))
    const share = 1 / 11
    const sigma = Math.sqrt(VALUES * share * (1 - share))
    expect(Math.abs(moved.length - VALUES * share)).toBeLessThanOrEqual(3 * sigma)
  })

  it('moves values only towards a variant that got heavier', () => {
    const before = spread(VARIANTS)
    const after = spread(VARIANTS.map((one) => (one.model === 'c' ? { ...one, weight: 3 } : one)))
    const moved = after.filter((model, i) => model !== before[i])
    expect(new Set(moved)).toEqual(new Set(['c']))
  })

  it('draws apart from other aliases', () => {
    const [one, other] = [spread(VARIANTS, 'one'), spread(VARIANTS, 'other')]
    const same = one.filter((model, i) => model === other[i]).length
    // Of independent draws: 0.6² + 0.3² + 0.1².
    const share = 0.46
    const sigma = Math.sqrt(VALUES * share * (1 - share))
    expect(Math.abs(same - VALUES * share)).toBeLessThanOrEqual(3 * sigma)
  })

  it('has none without variants', () => {
    expect(variantFor({ name: 'x' }, [], 'value')).toBeNull()
  })
})
