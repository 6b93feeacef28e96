import { GatewayError } from '../../errors/gateway-error.ts'
import type { KeyPlan, TargetPlan } from '../../plan/gateway-plan.ts'
import { targetPermitted } from '../../plan/model-permission.ts'
import { resolveModel } from '../../plan/resolve-model.ts'
import { known, type RequestContext, type Terms } from '../pipeline/request-context.ts'

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
  const speaking = allowed.filter((target) => target.provider.protocols.includes(ctx.protocol.id))
  if (speaking.length === 0) throw notServed(ctx, allowed)
  const usable = speaking.filter((target) => target.provider.credentialMissing === null)
  if (usable.length === 0) {
    throw new GatewayError(
      'credential_missing',
      `The provider ${speaking[0]?.provider.name} has no usable credential.`,
    )
  }
  ctx.targets = usable.filter((target) => target.price !== null || !mustBePriced(ctx, terms))
  if (ctx.targets.length === 0) {
    throw new GatewayError(
      'model_unpriced',
      `The model "${name}" has no price, and a budget in US dollars applies to this key.`,
      { details: { param: 'model' } },
    )
  }
}

/** The first provider entry of the key's policy that matches the model, else the key's own terms. */
function termsFor(key: KeyPlan, model: string): Terms {
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
    `This model is served in ${spoken.join(', ')}, and translation from ${ctx.protocol.id} is not available in this version.`,
    { details: { param: 'model' } },
  )
}
