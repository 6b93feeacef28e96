import type { RejectionReason, TargetBlock, TargetSignals } from '../../contracts/routing.ts'
import type { TokenizerId } from '../../contracts/tokenizer.ts'
import type { TargetPlan } from '../../plan/gateway-plan.ts'
import { demandOf } from '../usage/cost.ts'
import type { RequestSize, SelectQuery } from './select-query.ts'

const NANO_PER_USD = 1e9
const PICO_PER_NANO = 1000
/** The likeliest tokenizer of a model that names none. */
const USUAL_TOKENIZER: TokenizerId = 'o200k_base'

export type Rejection = {
  readonly reason: RejectionReason
  /** For people. */
  readonly detail: string
  /** Of `circuit_open` and `cooldown`. */
  readonly block?: TargetBlock
}

/** A target and what the selector found out about it. */
export type Examined = {
  readonly target: TargetPlan
  readonly signals: TargetSignals | null
  /** Of the worst case. Null: unpriced, or nobody asked. */
  readonly costNanoUsd: number | null
  /** What it costs less than said, because the conversation is in its prompt cache. */
  readonly savedNanoUsd: number
  readonly rejection: Rejection | null
}

/**
 * Whether a target may be tried at all, in the order of `REJECTION_REASONS`. What is refused here stays refused: nothing
 * relaxes it.
 */
export function rejectTarget(
  target: TargetPlan,
  costNanoUsd: number | null,
  query: SelectQuery,
  signals: TargetSignals | null,
): Rejection | null {
  return (
    rejectForWhatItIs(target, query) ??
    rejectForHints(target, costNanoUsd, query, signals) ??
    rejectForNow(target, query)
  )
}

function rejectForWhatItIs(target: TargetPlan, query: SelectQuery): Rejection | null {
  const { checks, needs, size } = query
  if (!target.enabled) return { reason: 'disabled', detail: 'switched off' }
  if (!checks.permits(target)) {
    return { reason: 'not_allowed', detail: 'the policy does not allow it' }
  }
  if (!checks.reaches(target)) {
    const spoken = target.provider.protocols.join(', ')
    return { reason: 'capability', detail: `speaks ${spoken} only` }
  }
  const missing = target.lacks?.find((one) => needs[one])
  if (missing !== undefined) return { reason: 'capability', detail: `needs ${missing}` }
  if (target.contextTokens === null) return null
  const tokens = neededTokens(target, size)
  if (tokens === null || tokens <= target.contextTokens) return null
  const detail = `needs about ${tokens} tokens of ${target.contextTokens}`
  return { reason: 'context_overflow', detail }
}

function rejectForHints(
  target: TargetPlan,
  costNanoUsd: number | null,
  { hints, mustBePriced }: SelectQuery,
  signals: TargetSignals | null,
): Rejection | null {
  const { minWeight, maxCostNanoUsd, maxLatencyMs } = hints
  if (minWeight !== null && target.weight < minWeight) {
    return { reason: 'below_min_weight', detail: `weight ${target.weight}, asked ${minWeight}` }
  }
  if (maxCostNanoUsd !== null && costNanoUsd !== null && costNanoUsd > maxCostNanoUsd) {
    const detail = `may cost ${usdText(costNanoUsd)}, asked ${usdText(maxCostNanoUsd)} at most`
    return { reason: 'over_max_cost', detail }
  }
  const latencyMs = signals?.latencyMs ?? null
  if (maxLatencyMs !== null && latencyMs !== null && latencyMs > maxLatencyMs) {
    const detail = `answers after ${Math.round(latencyMs)} ms, asked ${maxLatencyMs} ms at most`
    return { reason: 'over_max_latency', detail }
  }
  if (target.price === null && (mustBePriced || maxCostNanoUsd !== null)) {
    return { reason: 'unpriced', detail: 'has no price' }
  }
  return null
}

function rejectForNow(target: TargetPlan, { checks, book, nowMs }: SelectQuery): Rejection | null {
  if (target.provider.credentialMissing !== null) {
    return { reason: 'credential_missing', detail: 'its credential is not there' }
  }
  const block = book === null ? null : book.blocked(target.healthId, nowMs)
  if (block !== null) {
    const { reason, failure, untilMs } = block
    const why = reason === 'circuit_open' ? 'failed too often' : (failure ?? 'set aside')
    const detail = `${why}, for ${Math.ceil(Math.max(0, untilMs - nowMs))} ms more`
    return { reason, detail, block }
  }
  return checks.hasRoom(target) ? null : { reason: 'limit', detail: 'a limit of it is full' }
}

/** The input, and the cap that will be sent. Null: nobody counted, and the bound is no bound. */
function neededTokens(target: TargetPlan, size: RequestSize): number | null {
  const input = size.counted?.[target.tokenizer ?? USUAL_TOKENIZER] ?? null
  const outputCap = size.outputCap ?? 0
  if (input !== null) return input + outputCap
  return size.boundTokens === null ? null : size.boundTokens + outputCap
}

/** Tokens of input that the choice goes by. */
function inputTokensFor(target: TargetPlan, size: RequestSize): number {
  return size.counted?.[target.tokenizer ?? USUAL_TOKENIZER] ?? size.roughTokens
}

/** The most that the request may cost there, in integer nano-US-dollars. Null: unpriced. */
export function worstCostNanoUsd(target: TargetPlan, size: RequestSize): number | null {
  if (target.price === null) return null
  const outputTokens = (size.outputCap ?? target.maxOutputTokens) * size.choices
  const inputTokens = inputTokensFor(target, size)
  const { fixedCostPicoUsd, outputPicoUsd } = demandOf({
    inputTokens,
    outputTokens,
    price: target.price,
  })
  return Math.ceil(((fixedCostPicoUsd ?? 0) + outputTokens * outputPicoUsd) / PICO_PER_NANO)
}

/** What is not paid again for the part of the input that its prompt cache holds. Integer nano-US-dollars. */
export function savedByCache(target: TargetPlan, { warm, size }: SelectQuery): number {
  if (warm === null || warm.target !== target.id || target.price === null) return 0
  const { inputPicoUsd, cacheReadPicoUsd } = target.price.base
  const tokens = Math.min(warm.tokens, inputTokensFor(target, size))
  return Math.max(0, Math.floor((tokens * (inputPicoUsd - cacheReadPicoUsd)) / PICO_PER_NANO))
}

function usdText(nanoUsd: number): string {
  return `$${(nanoUsd / NANO_PER_USD).toFixed(6)}`
}
