import type { ProviderPlan } from '../plan/gateway-plan.ts'
import type { DiscoveredModelView, ProviderView } from './admin-api.ts'
import { AdminError } from './admin-error.ts'
import { jsonRoute, NO_BODY, NO_QUERY, type AdminRoute } from './admin-route.ts'
import {
  pageOfSchema,
  providerModelsSchema,
  providerSchema,
  providerTestSchema,
} from './answer-schemas.ts'
import type { Control } from './control.ts'
import { pageOf, sortedBy } from './list-page.ts'
import { priceView } from './price-view.ts'
import { pageQuery } from './request-schemas.ts'
import { durationText } from './written-times.ts'

export const PROVIDER_ROUTES: readonly AdminRoute[] = [
  jsonRoute({
    method: 'GET',
    path: '/providers',
    summary: 'Configured providers, by name',
    query: pageQuery,
    body: NO_BODY,
    answer: pageOfSchema(providerSchema),
    handle({ control, query }) {
      const providers = [...control.plan().providers.values()].map((one) => view(control, one))
      return pageOf(sortedBy(providers, nameOf), nameOf, query)
    },
  }),
  jsonRoute({
    method: 'POST',
    path: '/providers/{name}/test',
    summary: 'Ask a provider for its model list, with its credential; spends nothing',
    query: NO_QUERY,
    body: NO_BODY,
    answer: providerTestSchema,
    async handle({ control, param }) {
      const { name } = findProvider(control, param('name'))
      const { latencyMs, ...test } = await control.testProvider(name)
      return { ...test, latency_ms: latencyMs }
    },
  }),
  jsonRoute({
    method: 'POST',
    path: '/providers/{name}/discover',
    summary: 'Ask a provider for its model list, and say what is known of each; changes nothing',
    query: NO_QUERY,
    body: NO_BODY,
    answer: providerModelsSchema,
    async handle({ control, param }) {
      const provider = findProvider(control, param('name'))
      const { latencyMs, models, ...test } = await control.discoverModels(provider.name)
      const items = models.toSorted().map((model) => discovered(control, provider, model))
      return { ...test, latency_ms: latencyMs, items }
    },
  }),
]

function findProvider(control: Control, name: string): ProviderPlan {
  const provider = control.plan().providers.get(name)
  if (provider !== undefined) return provider
  throw new AdminError('not_found', 'No provider of this name is configured.')
}

function discovered(control: Control, provider: ProviderPlan, model: string): DiscoveredModelView {
  const { models, onDemand } = control.plan()
  const bare = onDemand.target(provider, model)
  const declared = [...models.values()]
    .flatMap(({ targets }) => targets)
    .find(({ id }) => id === bare.id)
  const { id, price, contextTokens, maxOutputAssumed, maxOutputTokens } = declared ?? bare
  return {
    model,
    name: id,
    known: price !== null || contextTokens !== null || !maxOutputAssumed,
    declared: declared !== undefined,
    price: price === null ? null : priceView(price),
    context: contextTokens,
    max_output: maxOutputAssumed ? null : maxOutputTokens,
  }
}

function view(control: Control, plan: ProviderPlan): ProviderView {
  return {
    name: plan.name,
    protocols: plan.protocols,
    base_url: plan.origin + plan.basePath,
    auth: plan.auth.kind,
    credential: plan.auth.kind === 'none' ? null : credentialReference(control, plan),
    credential_missing: plan.credentialMissing !== null,
    allow_private: plan.allowPrivate,
    on_client_abort: plan.onClientAbort,
    state: stateOf(control, plan),
    timeouts: {
      connect: durationText(plan.timeouts.connectMs),
      first_byte: durationText(plan.timeouts.firstByteMs),
      idle: durationText(plan.timeouts.idleMs),
      total: durationText(plan.timeouts.totalMs),
    },
  }
}

const WORST = ['down', 'degraded', 'healthy'] as const

function stateOf(control: Control, { name }: ProviderPlan): ProviderView['state'] {
  if (!control.serving) return 'unknown'
  const declared = [...control.plan().models.values()]
    .flatMap(({ targets }) => targets)
    .filter(({ provider }) => provider.name === name)
    .map(({ healthId }) => healthId)
  const own = new Set(declared)
  const judged = control.targets
    .list(control.clock.monotonicMs())
    .filter(({ target }) => own.has(target) || target.startsWith(`${name}/`))
  const states = new Set(judged.map(({ state }) => state))
  return WORST.find((one) => states.has(one)) ?? 'unknown'
}

/** Where the credential stands: as configured, else the variable that the catalogue names. */
function credentialReference(control: Control, { name }: ProviderPlan): string | null {
  const written = control.config().config.providers[name]
  if (written?.credential !== undefined) return written.credential.reference
  const variable = control.catalogue.get(written?.extends ?? name)?.credentialEnv ?? null
  return variable === null ? null : `env:${variable}`
}

function nameOf({ name }: ProviderView): string {
  return name
}
