import type { KeyPlan } from '../../plan/gateway-plan.ts'
import type { RouteContext, Terms } from '../pipeline/request-context.ts'

/** The first provider entry of the key's policy that matches the model, else the key's own terms. */
export function termsFor(key: KeyPlan, model: string): Terms {
  for (const entry of key.policy.providerEntries) {
    if (entry.matches === null || entry.matches(model)) return entry
  }
  return key
}

/** The terms of a model that stands in: the request's, or others that add no limit. Null: it may not stand in. */
export function termsBeside(key: KeyPlan, model: string, terms: Terms): Terms | null {
  const own = termsFor(key, model)
  return own === terms || (sharesLimits(own) && sharesLimits(terms)) ? own : null
}

/** The key's own terms, or those of an entry that adds no limit. */
function sharesLimits(terms: Terms): boolean {
  return !('sharesLimits' in terms) || terms.sharesLimits === true
}

/** An unpriced model is not free: with a `usd` limit it is refused, unless the policy says otherwise. */
export function mustBePriced(ctx: RouteContext, terms: Terms): boolean {
  if (!ctx.endpoint.billed) return false
  const { unpriced, maxCostPerRequestNanoUsd } = terms.policy
  if (unpriced !== null) return unpriced === 'deny'
  return terms.hasUsdLimit || maxCostPerRequestNanoUsd !== null
}
