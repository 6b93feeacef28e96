import { describe, expect, it } from 'vitest'
import { createModelCatalogue } from './catalogue/model-catalogue.ts'
import { PROVIDER_ALIASES, PROVIDERS } from './registry.ts'
import { providerContract } from './testing/provider-contract.ts'

for (const provider of PROVIDERS) providerContract(provider)

describe('PROVIDERS', () => {
  it('has unique ids, and aliases that lead somewhere and shadow nothing', () => {
    const ids = PROVIDERS.map((provider) => provider.id)
    expect(new Set(ids).size).toBe(ids.length)
    for (const [alias, id] of Object.entries(PROVIDER_ALIASES)) {
      expect(ids).toContain(id)
      expect(ids).not.toContain(alias)
    }
  })

  it('holds the 27 vendors of the comparison and the sandbox', () => {
    expect(PROVIDERS.length).toBe(29)
  })

  it('lists models of the price snapshot where it has the vendor', () => {
    const catalogue = createModelCatalogue()
    const checked = PROVIDERS.filter(
      ({ id, unavailable }) => unavailable === null && catalogue.modelsOf(id).length > 0,
    )
    expect(checked.length).toBeGreaterThan(8)
    for (const { id, models } of checked) {
      for (const model of models) expect(catalogue.find(id, model), `${id}/${model}`).not.toBeNull()
    }
  })
})
