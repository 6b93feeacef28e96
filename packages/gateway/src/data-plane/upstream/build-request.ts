import type { ByteEdit } from '../../contracts/envelope.ts'
import type { Protocol } from '../../contracts/protocol.ts'
import { applyEdits } from '../../lib/byte-edits.ts'
import type { TargetPlan } from '../../plan/gateway-plan.ts'
import { upstreamPath } from '../../plan/upstream-path.ts'
import { known, type RequestContext } from '../pipeline/request-context.ts'
import type { UpstreamRequest } from './upstream-call.ts'

/** Fields of every request that pass on to the provider, besides those of the protocol. */
const FORWARDED = new Set(['content-type', 'accept', 'user-agent', 'traceparent', 'tracestate'])

export type BuiltRequest = { readonly request: UpstreamRequest; readonly usageAsked: boolean }

/** The upstream request for one target: the client's own bytes, but for the edits that this target needs. */
export function buildRequest(ctx: RequestContext, target: TargetPlan): BuiltRequest {
  const { endpoint, head } = ctx
  const envelope = known(ctx.envelope, 'envelope')
  const edits: ByteEdit[] = []
  if (target.model !== envelope.model) edits.push(endpoint.renameModel(envelope, target.model))
  if (ctx.outputCap !== null) {
    edits.push(...endpoint.capOutput(envelope, ctx.outputCap, target.provider.outputCapMember))
  }
  const usage = target.provider.refusesUsageOption ? null : endpoint.askForUsage(ctx.body, envelope)
  if (usage !== null) edits.push(usage)
  return {
    request: {
      method: 'POST',
      path: upstreamPath(target.provider, endpoint, target.model, head.query),
      headers: upstreamHeaders(ctx, target),
      body: edits.length === 0 ? ctx.body : applyEdits(ctx.body, edits),
    },
    usageAsked: usage !== null,
  }
}

function upstreamHeaders(ctx: RequestContext, target: TargetPlan): string[] {
  const { fields } = ctx.head
  const own = target.provider.headers
  const headers: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? ''
    if (own[name] === undefined && isForwarded(ctx.protocol, name)) {
      headers.push(name, fields[i + 1] ?? '')
    }
  }
  for (const name in own) headers.push(name, own[name] ?? '')
  headers.push('accept-encoding', 'identity', 'x-request-id', ctx.requestId)
  return headers
}

function isForwarded(protocol: Protocol, name: string): boolean {
  if (FORWARDED.has(name)) return true
  for (const pattern of protocol.forwardedHeaders) {
    if (pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern)
      return true
  }
  return false
}
