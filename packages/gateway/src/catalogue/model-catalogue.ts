import type { CatalogueModel, ModelCatalogue } from '../contracts/catalogue.ts'
import { ratesOf } from './rates-of.ts'
import { readRow, readSnapshot, type Snapshot } from './read-snapshot.ts'
import { SANDBOX_MODEL_IDS, sandboxModel } from './sandbox-models.ts'
import { SUPPLEMENT } from './supplement.ts'
import { tokenizerOf } from './tokenizer-of.ts'

const SANDBOX = 'sandbox'
/** `-2024-08-06`, `-20241022`, `@20250929` (Vertex), `-latest`: names of one snapshot of a model. */
const SUFFIX = /(?:-\d{4}-\d{2}-\d{2}|[-@]20\d{6}|-latest)$/

/** The shipped prices and limits. The file is read on first use; each model is converted when it is first asked for. */
export function createModelCatalogue(): ModelCatalogue {
  let snapshot: Snapshot | null = null
  const found = new Map<string, CatalogueModel | null>()

  function exact(providerId: string, model: string): CatalogueModel | null {
    snapshot ??= readSnapshot()
    const rows = snapshot.rows[providerId]
    if (rows === undefined || !Object.hasOwn(rows, model)) return supplemented(providerId, model)
    const row = readRow(model, rows[model])
    const isTextOnly = snapshot.textOnly.get(providerId)?.has(model) ?? false
    return row === null || !isTextOnly ? row : { ...row, capabilities: { vision: false } }
  }

  function find(providerId: string, model: string): CatalogueModel | null {
    if (providerId === SANDBOX) return sandboxModel(model)
    const direct = exact(providerId, model)
    if (direct !== null || !SUFFIX.test(model)) return direct
    return exact(providerId, model.replace(SUFFIX, ''))
  }

  return {
    find(providerId, model) {
      const key = `${providerId}\n${model}`
      const known = found.get(key)
      if (known !== undefined) return known
      const result = find(providerId, model)
      /** Unknown names come from clients, so only known ones are remembered. */
      if (result !== null && providerId !== SANDBOX) found.set(key, result)
      return result
    },
    modelsOf(providerId) {
      if (providerId === SANDBOX) return SANDBOX_MODEL_IDS
      snapshot ??= readSnapshot()
      const supplement = SUPPLEMENT[providerId] ?? {}
      return [...Object.keys(snapshot.rows[providerId] ?? {}), ...Object.keys(supplement)]
    },
  }
}

function supplemented(providerId: string, model: string): CatalogueModel | null {
  const rows = SUPPLEMENT[providerId]
  if (rows === undefined || !Object.hasOwn(rows, model)) return null
  const row = rows[model]
  if (row === undefined) return null
  return {
    price: { base: ratesOf(model, row.rates), tiers: [] },
    contextTokens: row.context,
    maxOutputTokens: row.maxOutput,
    tokenizer: tokenizerOf(model),
  }
}
