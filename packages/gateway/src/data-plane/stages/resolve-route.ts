import type { PolicyPlan } from '../../plan/gateway-plan.ts'
import { targetPermitted } from '../../plan/model-permission.ts'
import { known, type RouteContext, type Terms } from '../pipeline/request-context.ts'
import { chooseTargets } from '../routing/choose-targets.ts'
import { enterRoute, type Entry } from '../routing/enter-route.ts'
import { isReachable, isSetAside } from '../routing/request-checks.ts'
import { mustBePriced, termsFor } from '../routing/terms-for.ts'

/**
 * Finds the targets that may serve this request, in the order to try them. Throws when none is left.
 *
 * Where there is one target and nothing to choose, the plan has decided already.
 */
export function resolveRoute(ctx: RouteContext): void | Promise<void> {
  const { model: requested } = known(ctx.envelope, 'envelope')
  const key = known(ctx.key, 'key')
  const entry = enterRoute(ctx, requested)
  const isWildcard = entry.model.reason === 'wildcard'
  const terms = isWildcard ? key : termsFor(key, entry.name)
  ctx.terms = terms
  if (entry.alias !== null) ctx.variant = entry.name
  if (takeSettled(ctx, entry, terms)) return
  return chooseTargets(ctx, entry)
}

/** False: there is something to choose, or something is wrong and has to be told. */
function takeSettled(ctx: RouteContext, { model, name, alias }: Entry, terms: Terms): boolean {
  const { settled } = model
  const [target] = model.targets
  if (settled === null || target === undefined || alias !== null || ctx.hints !== null) return false
  const { policy } = terms
  if (hasWishes(policy) || terms.lateLimits.length > 0) return false
  if (!targetPermitted(policy, name, target)) return false
  const own = policy.retarget === null ? target : policy.retarget(target)
  if (own.provider.credentialMissing !== null || !isReachable(ctx, own)) return false
  if (own.price === null && mustBePriced(ctx, terms)) return false
  if (isSetAside(ctx, own)) return false
  ctx.targets = own === target ? model.targets : [own]
  ctx.decision = settled
  return true
}

/** The policy bounds the choice, or lets other models stand in. */
function hasWishes({ routing, retry }: PolicyPlan): boolean {
  return routing !== null || (retry !== null && retry.fallbacks.length > 0)
}
