import type { IncomingHttpHeaders } from 'node:http'
import type { ProviderRefusal } from '../../contracts/conversation.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { classifyFailure, classOfStatus } from '../routing/classify-failure.ts'
import { statedWait } from '../routing/stated-rates.ts'
import { collectBody, type UpstreamCall } from '../upstream/upstream-call.ts'
import {
  type Answer,
  type Failure,
  headersOf,
  isCompressed,
  providerFailure,
} from './attempt-results.ts'
import { known, type RequestContext } from './request-context.ts'

const MAX_ERROR_BYTES = 1024 * 1024

/** A 4xx or 5xx. Passed on byte for byte if nothing better comes, unless it is about our own credential. */
export async function readRefusal(ctx: RequestContext, call: UpstreamCall): Promise<Failure> {
  const { status, headers } = call
  const target = known(ctx.target, 'target')
  if (isCompressed(headers)) {
    call.abort()
    const byStatus = classOfStatus(target.provider, status)
    if (byStatus === 'auth') return credentialRefused(ctx, status)
    return providerFailure('upstream_invalid', ctx, `answered ${status} with a compressed body.`)
  }
  const body = await collectBody(call, MAX_ERROR_BYTES)
  const refusal = readWords(ctx, status, body)
  const failureClass = classifyFailure(target.provider, status, refusal)
  if (failureClass === 'auth') return credentialRefused(ctx, status)
  const code = failureClass === 'overloaded' ? 'upstream_overloaded' : 'upstream_failed'
  const { provider } = target
  return {
    error: new GatewayError(code, `The provider ${provider.name} answered ${status}.`),
    refused: { answer: tellRefusal(ctx, { status, headers, body }), target, failureClass },
    failureClass,
    waitMs: refusal?.retryAfterMs ?? statedWait(protocolOf(ctx), headers, Date.now()),
  }
}

function credentialRefused(ctx: RequestContext, status: number): Failure {
  return providerFailure('upstream_auth', ctx, `refused the gateway's own credential (${status}).`)
}

function protocolOf(ctx: RequestContext): RequestContext['protocol'] {
  return ctx.translation?.upstreamProtocol ?? ctx.protocol
}

/** What the upstream's protocol makes of a body; null: it has no words for it. */
export function readWords(
  ctx: RequestContext,
  status: number,
  body: Buffer,
): ProviderRefusal | null {
  return protocolOf(ctx).dialect?.readRefusal(status, body) ?? null
}

/** An upstream's refusal as it came, or in the client's own protocol. */
function tellRefusal(
  ctx: RequestContext,
  refusal: {
    readonly status: number
    readonly headers: IncomingHttpHeaders
    readonly body: Buffer
  },
): Extract<Answer, { kind: 'whole' }> {
  if (ctx.translation === null) return { kind: 'whole', ...refusal }
  const told = ctx.translation.refusal(refusal.status, refusal.body)
  const headers = { ...headersOf(ctx, refusal.headers), ...told.headers }
  return { kind: 'whole', status: told.status, headers, body: Buffer.from(told.body) }
}
