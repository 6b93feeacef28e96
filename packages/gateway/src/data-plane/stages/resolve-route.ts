import { GatewayError } from '../../errors/gateway-error.ts'
import type { KeyPlan, ProviderPlan, TargetPlan } from '../../plan/gateway-plan.ts'
import { targetPermitted } from '../../plan/model-permission.ts'
import { resolveModel } from '../../plan/resolve-model.ts'
import { known, type RequestContext, type Terms } from '../pipeline/request-context.ts'
import { bridgeTo, speaksNatively } from '../translation/translate-request.ts'

/** Finds the targets that may serve this request, in the order to try them. Throws when none is left. */
export function resolveRoute(ctx: RequestContext): void {
  const { model: name } = known(ctx.envelope, 'envelope')
  const key = known(ctx.key, 'key')
  const model = resolveModel(ctx.plan, key, name)
  if (model === null) {
    throw new GatewayError(
      'model_not_found',
      `No configured provider serves the model "${name}".`,
      {
        details: { param: 'model' },
      },
    )
  }
  const terms = termsFor(key, name)
  ctx.terms = terms
  const { policy } = terms
  const ordered = model.order(Math.random())
  const allowed = ordered.filter((target) => targetPermitted(policy, name, target))
  if (allowed.length === 0) {
    throw new GatewayError('model_not_allowed', `This key may not use the model "${name}".`, {
      details: { param: 'model' },
    })
  }
  const own = policy.retarget === null ? allowed : allowed.map(policy.retarget)
  const fallbacks = policy.retry === null ? [] : fallbackTargets(ctx, key, policy.retry.fallbacks)
  ctx.targets = usableTargets(ctx, terms, fallbacks.length === 0 ? own : [...own, ...fallbacks])
}

/** Those of them that can be sent to now. Throws when there is none, and says why. */
function usableTargets(
  ctx: RequestContext,
  terms: Terms,
  allowed: readonly TargetPlan[],
): readonly TargetPlan[] {
  const speaking = allowed.filter(({ provider }) => isReachable(ctx, provider))
  if (speaking.length === 0) {
    if (ctx.endpoint.renderCount === undefined) throw notServed(ctx, allowed)
    ctx.countsHere = true
    return allowed
  }
  const usable = speaking.filter((target) => target.provider.credentialMissing === null)
  if (usable.length === 0) {
    throw new GatewayError(
      'credential_missing',
      `The provider ${speaking[0]?.provider.name} has no usable credential.`,
    )
  }
  const priced = usable.filter((target) => target.price !== null || !mustBePriced(ctx, terms))
  if (priced.length === 0) {
    const { model } = known(ctx.envelope, 'envelope')
    throw new GatewayError(
      'model_unpriced',
      `The model "${model}" has no price, and a budget in US dollars applies to this key.`,
      { details: { param: 'model' } },
    )
  }
  return priced
}

/**
 * Targets of the models that stand in, in their order. Each is asked for as if the client had named it; one that nobody
 * serves, that the key may not use, or that has limits of its own is passed over.
 */
function fallbackTargets(
  ctx: RequestContext,
  key: KeyPlan,
  names: readonly string[],
): readonly TargetPlan[] {
  const terms = known(ctx.terms, 'terms')
  const targets: TargetPlan[] = []
  for (const name of names) {
    const model = resolveModel(ctx.plan, key, name)
    const own = termsFor(key, name)
    if (model === null || (own !== terms && !(sharesLimits(own) && sharesLimits(terms)))) continue
    for (const target of model.order(Math.random())) {
      if (!targetPermitted(own.policy, name, target)) continue
      targets.push({ ...(own.policy.retarget?.(target) ?? target), fallback: name })
    }
  }
  return targets
}

/** The key's own terms, or those of an entry that adds no limit. */
function sharesLimits(terms: Terms): boolean {
  return !('sharesLimits' in terms) || terms.sharesLimits === true
}

/** By the request's own bytes, or by a translation. */
function isReachable(ctx: RequestContext, provider: ProviderPlan): boolean {
  return speaksNatively(ctx, provider) || bridgeTo(ctx, provider) !== null
}

/** The first provider entry of the key's policy that matches the model, else the key's own terms. */
export function termsFor(key: KeyPlan, model: string): Terms {
  for (const entry of key.policy.providerEntries) {
    if (entry.matches === null || entry.matches(model)) return entry
  }
  return key
}

/** An unpriced model is not free: with a `usd` limit it is refused, unless the policy says otherwise. */
function mustBePriced(ctx: RequestContext, terms: Terms): boolean {
  if (!ctx.endpoint.billed) return false
  const { unpriced, maxCostPerRequestNanoUsd } = terms.policy
  if (unpriced !== null) return unpriced === 'deny'
  return terms.hasUsdLimit || maxCostPerRequestNanoUsd !== null
}

function notServed(ctx: RequestContext, targets: readonly TargetPlan[]): GatewayError {
  const spoken = [...new Set(targets.flatMap((target) => target.provider.protocols))]
  return new GatewayError(
    'protocol_not_served',
    `This model is served in ${spoken.join(', ')}, and this endpoint is not translated from ${ctx.protocol.id}.`,
    { details: { param: 'model' } },
  )
}
