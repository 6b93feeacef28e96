import { readFileSync } from 'node:fs'
import type { CatalogueModel } from '../contracts/catalogue.ts'
import type { Price } from '../contracts/price.ts'
import { isRecord } from '../lib/is-record.ts'
import { type RateRow, ratesOf } from './rates-of.ts'
import { tokenizerOf } from './tokenizer-of.ts'

/** By provider id. See scripts/price-snapshot.mjs for the fields. */
export type Snapshot = {
  /** Model id → the row as written. */
  readonly rows: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** Models that take no images. */
  readonly textOnly: ReadonlyMap<string, ReadonlySet<unknown>>
}

const FILE = new URL('./models.snapshot.json', import.meta.url)

/** Reads the shipped file: about 2 ms. Throws when it is missing or not of the known form. */
export function readSnapshot(): Snapshot {
  const parsed: unknown = JSON.parse(readFileSync(FILE, 'utf8'))
  const providers = isRecord(parsed) ? parsed['providers'] : null
  if (!isRecord(providers)) throw new Error('models.snapshot.json has no providers')
  const rows = Object.fromEntries(
    Object.entries(providers).map(([id, models]) => [id, isRecord(models) ? models : {}]),
  )
  const listed = isRecord(parsed) && isRecord(parsed['text_only']) ? parsed['text_only'] : {}
  const textOnly = Object.entries(listed).map(
    ([id, models]) => [id, new Set<unknown>(Array.isArray(models) ? models : [])] as const,
  )
  return { rows, textOnly: new Map(textOnly) }
}

/** One row of the snapshot: four rates, context, greatest output, and the tiers if there are any. */
export function readRow(model: string, row: unknown): CatalogueModel | null {
  if (!Array.isArray(row)) return null
  const base = rateRow(row)
  if (base === null) return null
  return {
    price: isFreeByMistake(model, base) ? null : readPrice(model, base, row[6]),
    contextTokens: positive(row[4]),
    maxOutputTokens: positive(row[5]),
    tokenizer: tokenizerOf(model),
  }
}

function readPrice(model: string, base: RateRow, tiers: unknown): Price {
  const listed: readonly unknown[] = Array.isArray(tiers) ? tiers : []
  const read = listed.flatMap((tier) => {
    if (!Array.isArray(tier) || typeof tier[0] !== 'number') return []
    const rates = rateRow(tier.slice(1))
    return rates === null ? [] : [{ aboveInputTokens: tier[0], rates: ratesOf(model, rates) }]
  })
  return {
    base: ratesOf(model, base),
    tiers: read.sort((a, b) => a.aboveInputTokens - b.aboveInputTokens),
  }
}

/** The source writes 0 where it knows no price; only models that say so by name are free. */
function isFreeByMistake(model: string, [input, output]: RateRow): boolean {
  return input === 0 && output === 0 && !model.endsWith(':free')
}

function rateRow(row: readonly unknown[]): RateRow | null {
  const [input, output, cacheRead, cacheWrite] = row
  return typeof input === 'number' &&
    typeof output === 'number' &&
    typeof cacheRead === 'number' &&
    typeof cacheWrite === 'number'
    ? [input, output, cacheRead, cacheWrite]
    : null
}

function positive(value: unknown): number | null {
  return typeof value === 'number' && value > 0 ? value : null
}
