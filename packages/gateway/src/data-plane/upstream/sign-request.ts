import type { ProviderPlan } from '../../plan/gateway-plan.ts'
import type { UpstreamRequest } from './upstream-call.ts'

const NO_BODY = Buffer.alloc(0)

/** The request with its signature, where the provider wants one. The last step: nothing may change behind it. */
export function signed(provider: ProviderPlan, request: UpstreamRequest): UpstreamRequest {
  const { sign, origin } = provider
  if (sign === null) return request
  const parts = {
    method: request.method,
    host: new URL(origin).host,
    path: request.path,
    contentType: fieldOf(request.headers, 'content-type'),
    body: request.body ?? NO_BODY,
  }
  return { ...request, headers: [...request.headers, ...sign(parts, Date.now())] }
}

function fieldOf(headers: readonly string[], name: string): string | null {
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] === name) return headers[i + 1] ?? null
  }
  return null
}
