import type { Price } from './price.ts'
import type { Capability } from './routing.ts'
import type { TokenizerId } from './tokenizer.ts'

/** What the shipped catalogue knows of a model at a provider. */
export type CatalogueModel = {
  readonly price: Price | null
  readonly contextTokens: number | null
  readonly maxOutputTokens: number | null
  /** The model's exact tokenizer, when it is public and bundled. */
  readonly tokenizer: TokenizerId | null
  /** What it can do, and what it cannot; what is not named is not known. Absent: nothing is. */
  readonly capabilities?: Readonly<Partial<Record<Capability, boolean>>>
}

/** Exact id, then without a dated suffix; never a random prefix. Null: unknown, so unpriced. */
export type ModelCatalogue = {
  find(providerId: string, model: string): CatalogueModel | null
  /** Ids of the models known for a provider. */
  modelsOf(providerId: string): readonly string[]
}
