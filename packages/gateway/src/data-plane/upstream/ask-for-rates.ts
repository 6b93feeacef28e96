import type { IncomingHttpHeaders } from 'node:http'
import { GatewayError } from '../../errors/gateway-error.ts'
import type { GatewayPlan } from '../../plan/gateway-plan.ts'
import { upstreamPath } from '../../plan/upstream-path.ts'
import { withAccessToken } from './access-tokens.ts'
import { signed } from './sign-request.ts'
import { type CallTools, collectBody, UpstreamCall } from './upstream-call.ts'

const MAX_BODY_BYTES = 1024 * 1024
const CHAT = { endpoint: 'chat', path: '/v1/chat/completions', query: '' }

/**
 * The headers of the smallest answer of a provider of chat completions: only an answer tells its rate limits. It costs one
 * token of output. Throws `GatewayError`.
 */
export async function ratesOf(
  { providers }: GatewayPlan,
  { name, model }: { readonly name: string; readonly model: string },
  tools: CallTools,
): Promise<IncomingHttpHeaders> {
  const provider = providers.get(name)
  if (provider === undefined) throw new GatewayError('not_found', `No provider is named ${name}.`)
  const body = Buffer.from(
    JSON.stringify({ model, messages: [{ role: 'user', content: 'hi' }], max_tokens: 1 }),
  )
  const headers = [
    ...Object.entries(provider.headers).flat(),
    'content-type',
    'application/json',
    'accept-encoding',
    'identity',
  ]
  const path = upstreamPath(provider, CHAT, model)
  const request = signed(provider, { method: 'POST', path, headers, body })
  const call = new UpstreamCall(provider, await withAccessToken(provider, request, tools), tools)
  await call.head
  await collectBody(call, MAX_BODY_BYTES)
  if (call.status >= 300) {
    throw new GatewayError(
      'upstream_failed',
      `The provider ${provider.name} answered ${call.status}.`,
    )
  }
  return call.headers
}
