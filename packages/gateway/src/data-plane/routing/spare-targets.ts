import type { TargetPlan } from '../../plan/gateway-plan.ts'
import { known, type RouteContext, type SpareFor } from '../pipeline/request-context.ts'
import { enterFallback } from './enter-route.ts'
import { RequestChecks } from './request-checks.ts'
import { mustBePriced, termsBeside } from './terms-for.ts'

/** More are not tried for one request. */
const MOST_SPARES = 16

/**
 * Adds the targets that stand in only after a certain failure, where the caller's policy lists them. They come behind all
 * others, so that whichever answers is covered by what is reserved.
 */
export function addSpares(ctx: RouteContext): void {
  const { rescue } = known(ctx.terms, 'terms').policy
  if (rescue === null || ctx.targets.some((target) => ctx.spares?.has(target))) return
  const spares = new Map<TargetPlan, SpareFor>()
  for (const target of usable(ctx, rescue.contentFallbacks)) spares.set(target, 'content_filter')
  for (const target of largerTargets(ctx, ctx.targets)) spares.set(target, 'context_overflow')
  if (spares.size === 0) return
  ctx.spares = spares
  ctx.targets = [...ctx.targets, ...spares.keys()]
}

/** Targets of a larger context than all of these have, where the policy lets a request go there. The smallest first. */
export function largerTargets(
  ctx: RouteContext,
  than: readonly TargetPlan[],
): readonly TargetPlan[] {
  const { rescue } = known(ctx.terms, 'terms').policy
  if (rescue === null || rescue.escalate === null) return []
  const names = rescue.escalate === 'any' ? [...ctx.plan.models.keys()] : rescue.escalate
  const contexts = than.map(({ contextTokens }) => contextTokens)
  // What nobody knows the size of cannot be told to be smaller.
  if (contexts.some((tokens) => tokens === null)) return []
  const largest = Math.max(0, ...contexts.map((tokens) => tokens ?? 0))
  return usable(ctx, names)
    .filter(({ contextTokens }) => contextTokens !== null && contextTokens > largest)
    .toSorted((one, other) => (one.contextTokens ?? 0) - (other.contextTokens ?? 0))
    .slice(0, MOST_SPARES)
}

/** Each is asked for as if the client had named it; one that may not serve this request is passed over. */
function usable(ctx: RouteContext, names: readonly string[]): readonly TargetPlan[] {
  const terms = known(ctx.terms, 'terms')
  const key = known(ctx.key, 'key')
  const checks = new RequestChecks(ctx)
  const priced = mustBePriced(ctx, terms)
  return names.flatMap((name) => {
    const entry = enterFallback(ctx, name)
    const own = entry === null ? null : termsBeside(key, entry.name, terms)
    if (entry === null || own === null) return []
    const targets: TargetPlan[] = []
    for (const one of entry.model.targets) {
      const fallback = one.servesAs ?? entry.name
      const target = { ...(own.policy.retarget?.(one) ?? one), fallback }
      if (!target.enabled || target.provider.credentialMissing !== null) continue
      if (priced && target.price === null) continue
      if (checks.permits(target) && checks.reaches(target)) targets.push(target)
    }
    return targets
  })
}
