import type { Strategy } from '../contracts/routing.ts'
import type { GatewayPlan, TargetPlan } from '../plan/gateway-plan.ts'
import type { ModelTargetView, ModelView } from './admin-api.ts'
import { jsonRoute, NO_BODY, type AdminRoute } from './admin-route.ts'
import { modelSchema, pageOfSchema } from './answer-schemas.ts'
import { pageOf, sortedBy } from './list-page.ts'
import { priceView } from './price-view.ts'
import { modelQuery } from './request-schemas.ts'

export const MODEL_ROUTES: readonly AdminRoute[] = [
  jsonRoute({
    method: 'GET',
    path: '/models',
    summary: 'Models that can be asked for, their targets and prices',
    query: modelQuery,
    body: NO_BODY,
    answer: pageOfSchema(modelSchema),
    handle({ control, query }) {
      const found = listedModels(control.plan()).filter(
        ({ declared, targets }) =>
          (query.declared === undefined || declared === query.declared) &&
          (query.provider === undefined ||
            targets.some((one) => one.provider.name === query.provider)),
      )
      const page = pageOf(sortedBy(found, orderOf), orderOf, query)
      return { ...page, items: page.items.map(modelView) }
    },
  }),
]

type Listed = {
  readonly name: string
  readonly declared: boolean
  readonly strategy: Strategy
  readonly targets: readonly TargetPlan[]
}

/** Those of the configuration, and what the catalogue knows of the configured providers. */
function listedModels(plan: GatewayPlan): readonly Listed[] {
  const declared = [...plan.models.values()].map(
    ({ name, strategy, targets }): Listed => ({ name, declared: true, strategy, targets }),
  )
  const usable = [...plan.providers.values()].filter((one) => one.credentialMissing === null)
  const known = usable.flatMap((provider) =>
    plan.onDemand.modelsOf(provider).flatMap((model): readonly Listed[] => {
      const target = plan.onDemand.target(provider, model)
      return plan.models.has(target.id)
        ? []
        : [{ name: target.id, declared: false, strategy: 'priority', targets: [target] }]
    }),
  )
  return [...declared, ...known]
}

/** The operator's own first. */
function orderOf({ name, declared }: Listed): string {
  return `${declared ? 0 : 1}${name}`
}

function modelView({ name, declared, strategy, targets }: Listed): ModelView {
  const contexts = targets.map(({ contextTokens }) => contextTokens).filter((one) => one !== null)
  const views = targets.map(targetView)
  return {
    name,
    declared,
    strategy,
    priced: views.length > 0 && views.every(({ priced }) => priced),
    price: views[0]?.price ?? null,
    context: contexts.length === 0 ? null : Math.min(...contexts),
    targets: views,
  }
}

function targetView(target: TargetPlan): ModelTargetView {
  return {
    id: target.id,
    provider: target.provider.name,
    model: target.model,
    weight: target.weight,
    enabled: target.enabled,
    lacks: target.lacks ?? [],
    priced: target.price !== null,
    price: target.price === null ? null : priceView(target.price),
    context: target.contextTokens,
    max_output: target.maxOutputTokens,
  }
}
