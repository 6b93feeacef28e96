import type { ByteEdit } from '../../contracts/envelope.ts'
import type { Protocol } from '../../contracts/protocol.ts'
import { applyEdits } from '../../lib/byte-edits.ts'
import type { TargetPlan } from '../../plan/gateway-plan.ts'
import { upstreamPath } from '../../plan/upstream-path.ts'
import { stripRouting } from '../../protocols/strip-routing.ts'
import { headField } from '../http/request-head.ts'
import { known, type RequestContext } from '../pipeline/request-context.ts'
import type { UpstreamRequest } from './upstream-call.ts'

/** Fields of every request that pass on to the provider, besides those of the protocol. */
const FORWARDED = new Set(['content-type', 'accept', 'user-agent', 'traceparent', 'tracestate'])

export type BuiltRequest = { readonly request: UpstreamRequest; readonly usageAsked: boolean }

/** The upstream request for one target: the client's own bytes, but for the edits that this target needs. */
export function buildRequest(ctx: RequestContext, target: TargetPlan): BuiltRequest {
  const { endpoint, head } = ctx
  const envelope = known(ctx.envelope, 'envelope')
  const edits: ByteEdit[] = [...(stripRouting(ctx.body, envelope) ?? [])]
  const rename =
    target.model === envelope.model ? null : endpoint.renameModel(envelope, target.model)
  if (rename !== null) edits.push(rename)
  if (ctx.outputCap !== null) {
    edits.push(...endpoint.capOutput(envelope, ctx.outputCap, target.provider.outputCapMember))
  }
  if (target.prompts !== null && endpoint.addPrompts !== null) {
    edits.push(...endpoint.addPrompts(ctx.body, envelope, target.prompts.list))
  }
  const usage = target.provider.refusesUsageOption ? null : endpoint.askForUsage(ctx.body, envelope)
  if (usage !== null) edits.push(usage)
  return {
    request: {
      method: 'POST',
      path: upstreamPath(target.provider, endpoint, target.model, passedQuery(head.query)),
      headers: upstreamHeaders(ctx, target),
      body: edits.length === 0 ? ctx.body : applyEdits(ctx.body, edits),
    },
    usageAsked: usage !== null,
  }
}

/** What a client may not say by the query: who pays, and a second model behind the one that was allowed. */
const WITHHELD_QUERY = new Set(['model', 'key', 'api_key', 'api-key', 'apikey', 'access_token'])

function passedQuery(query: string): string {
  if (query.length <= 1) return query
  const pairs = query.slice(1).split('&')
  const passed = pairs.filter((pair) => {
    const [name = ''] = new URLSearchParams(pair).keys()
    return !WITHHELD_QUERY.has(name.toLowerCase())
  })
  return passed.length === 0 ? '' : `?${passed.join('&')}`
}

/**
 * The client's own version and feature headers go with its body, so they win over the provider's. Everything else that
 * the operator set wins over the client.
 */
function upstreamHeaders(ctx: RequestContext, target: TargetPlan): string[] {
  const { fields } = ctx.head
  const { marks } = ctx.protocol
  const own = target.provider.headers
  const headers: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? ''
    if (own[name] !== undefined && !marks.includes(name)) continue
    if (isForwarded(ctx.protocol, name)) headers.push(name, fields[i + 1] ?? '')
  }
  for (const name in own) {
    if (marks.includes(name) && headField(ctx.head, name) !== null) continue
    headers.push(name, own[name] ?? '')
  }
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
