import type { ModelListing } from '../../contracts/protocol.ts'

const METHODS = ['generateContent', 'countTokens'] as const

/** @see https://ai.google.dev/api/models (fields as in the official client 3.1, read 2026-11-21) */
export function renderModels(models: readonly ModelListing[]): string {
  return JSON.stringify({ models: models.map(toModel) })
}

export function renderModel(model: ModelListing): string {
  return JSON.stringify(toModel(model))
}

function toModel({ id }: ModelListing): Record<string, unknown> {
  return { name: `models/${id}`, displayName: id, supportedGenerationMethods: METHODS }
}
