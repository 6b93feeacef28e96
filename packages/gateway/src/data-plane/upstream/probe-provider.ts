import { toGatewayError } from '../../errors/gateway-error.ts'
import type { GatewayPlan } from '../../plan/gateway-plan.ts'
import { askForModels, type ListTools } from './ask-for-models.ts'

export type Probe = {
  readonly provider: string
  readonly ok: boolean
  readonly status: number | null
  readonly latencyMs: number
  readonly problem: string | null
}

/** `models`: ids as the provider lists them; empty when it could not be asked. */
export type Discovery = Probe & { readonly models: readonly string[] }

/** Asks a provider for its models with the configured credential: the cheapest call that proves both. Never throws. */
export async function probeProvider(
  plan: GatewayPlan,
  name: string,
  tools: ListTools,
): Promise<Probe> {
  const { models: _, ...probe } = await ask(plan, name, tools, describe)
  return probe
}

/** The same, for what the provider lists. Never throws. */
export function discoverModels(
  plan: GatewayPlan,
  name: string,
  tools: ListTools,
): Promise<Discovery> {
  return ask(plan, name, tools, (status, models) => {
    return describe(status) ?? (models === null ? 'the provider answered with no list' : null)
  })
}

type Describe = (status: number, models: readonly string[] | null) => string | null

async function ask(
  plan: GatewayPlan,
  name: string,
  tools: ListTools,
  rule: Describe,
): Promise<Discovery> {
  const startedMs = performance.now()
  const result = (
    status: number | null,
    problem: string | null,
    models: readonly string[] = [],
  ): Discovery => ({
    provider: name,
    ok: problem === null,
    status,
    latencyMs: Math.round(performance.now() - startedMs),
    problem,
    models,
  })
  const provider = plan.providers.get(name)
  if (provider === undefined) return result(null, 'no provider with this name is configured')
  if (provider.credentialMissing !== null) {
    return result(null, `the credential ${provider.credentialMissing} is missing`)
  }
  try {
    const { status, models } = await askForModels(provider, tools)
    return result(status, rule(status, models), models ?? [])
  } catch (thrown) {
    return result(null, toGatewayError(thrown).message)
  }
}

function describe(status: number): string | null {
  if (status < 400) return null
  if (status === 401 || status === 403) return 'the provider refuses the credential'
  if (status === 404) return 'the provider is reachable, but has no model list at this base URL'
  return `the provider answered ${status}`
}
