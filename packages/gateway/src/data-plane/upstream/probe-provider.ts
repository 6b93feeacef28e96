import { toGatewayError } from '../../errors/gateway-error.ts'
import type { GatewayPlan } from '../../plan/gateway-plan.ts'
import { upstreamPath } from '../../plan/upstream-path.ts'
import { withAccessToken } from './access-tokens.ts'
import { signed } from './sign-request.ts'
import { type CallTools, collectBody, UpstreamCall } from './upstream-call.ts'

export type Probe = {
  readonly provider: string
  readonly ok: boolean
  readonly status: number | null
  readonly latencyMs: number
  readonly problem: string | null
}

const MAX_LIST_BYTES = 8 * 1024 * 1024
const MODELS = { endpoint: 'models', path: '/v1/models', query: '' } as const

/** Asks a provider for its models with the configured credential: the cheapest call that proves both. Never throws. */
export async function probeProvider(
  plan: GatewayPlan,
  name: string,
  tools: CallTools,
): Promise<Probe> {
  const startedMs = performance.now()
  const result = (status: number | null, problem: string | null): Probe => ({
    provider: name,
    ok: problem === null,
    status,
    latencyMs: Math.round(performance.now() - startedMs),
    problem,
  })
  const provider = plan.providers.get(name)
  if (provider === undefined) return result(null, 'no provider with this name is configured')
  if (provider.credentialMissing !== null) {
    return result(null, `the credential ${provider.credentialMissing} is missing`)
  }
  try {
    const headers = Object.entries(provider.headers).flat()
    const path = upstreamPath(provider, MODELS, '')
    const request = signed(provider, { method: 'GET', path, headers, body: null })
    const call = new UpstreamCall(provider, await withAccessToken(provider, request, tools), tools)
    await call.head
    await collectBody(call, MAX_LIST_BYTES)
    return result(call.status, describe(call.status))
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
