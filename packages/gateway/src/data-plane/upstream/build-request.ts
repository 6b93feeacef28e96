import type { ByteEdit } from '../../contracts/envelope.ts'
import type { Protocol, ProtocolEndpoint } from '../../contracts/protocol.ts'
import { applyEdits } from '../../lib/byte-edits.ts'
import type { TargetPlan } from '../../plan/gateway-plan.ts'
import { upstreamPath } from '../../plan/upstream-path.ts'
import { stripRouting } from '../../protocols/strip-routing.ts'
import { headField } from '../http/request-head.ts'
import { known, type RequestContext } from '../pipeline/request-context.ts'
import { bridgeFor, translateRequest } from '../translation/translate-request.ts'
import type { Translation } from '../translation/translation.ts'
import { signed } from './sign-request.ts'
import type { UpstreamRequest } from './upstream-call.ts'

/** Fields of every request that pass on to the provider, besides those of the protocol. */
const FORWARDED_WITH_TRANSLATION = ['user-agent', 'traceparent', 'tracestate'] as const
const FORWARDED = new Set(['content-type', 'accept', 'user-agent', 'traceparent', 'tracestate'])

/** `endpoint`: the one that is asked upstream, of the provider's protocol when the call is translated. */
export type BuiltRequest = {
  readonly request: UpstreamRequest
  readonly endpoint: ProtocolEndpoint
  readonly usageAsked: boolean
  readonly translation: Translation | null
}

/** The upstream request for one target: the client's own bytes but for the edits that it needs, or a translation. */
export function buildRequest(ctx: RequestContext, target: TargetPlan): BuiltRequest {
  const bridge = bridgeFor(ctx, target.provider)
  if (bridge !== null) {
    return translated(
      ctx,
      target,
      translateRequest(ctx, target, { bridge, edits: promptEdits(ctx, target) }),
    )
  }
  const { endpoint, head } = ctx
  const { edits, usageAsked } = editsFor(ctx, target)
  return {
    request: signed(target.provider, {
      method: 'POST',
      path: upstreamPath(
        target.provider,
        endpoint,
        target.model,
        passedQuery(head.query, ctx.protocol),
      ),
      headers: upstreamHeaders(ctx, target),
      body: edits.length === 0 ? ctx.body : applyEdits(ctx.body, edits),
    }),
    endpoint,
    usageAsked,
    translation: null,
  }
}

function translated(
  ctx: RequestContext,
  target: TargetPlan,
  translation: Translation,
): BuiltRequest {
  const { endpoint, body } = translation
  return {
    request: signed(target.provider, {
      method: 'POST',
      path: upstreamPath(target.provider, endpoint, target.model),
      headers: translatedHeaders(ctx, target),
      body,
    }),
    endpoint,
    usageAsked: false,
    translation,
  }
}

function editsFor(
  ctx: RequestContext,
  target: TargetPlan,
): { readonly edits: readonly ByteEdit[]; readonly usageAsked: boolean } {
  const { endpoint } = ctx
  const envelope = known(ctx.envelope, 'envelope')
  const edits: ByteEdit[] = [...(stripRouting(ctx.body, envelope) ?? [])]
  const rename =
    target.model === envelope.model ? null : endpoint.renameModel(envelope, target.model)
  if (rename !== null) edits.push(rename)
  if (ctx.outputCap !== null) {
    edits.push(...endpoint.capOutput(envelope, ctx.outputCap, target.provider.outputCapMember))
  }
  edits.push(...promptEdits(ctx, target))
  const usage = target.provider.refusesUsageOption ? null : endpoint.askForUsage(ctx.body, envelope)
  if (usage !== null) edits.push(usage)
  return { edits, usageAsked: usage !== null }
}

/** What the caller's policy adds to the request, in the client's own protocol. */
function promptEdits(ctx: RequestContext, target: TargetPlan): readonly ByteEdit[] {
  const { addPrompts } = ctx.endpoint
  if (target.prompts === null || addPrompts === null) return []
  return addPrompts(ctx.body, known(ctx.envelope, 'envelope'), target.prompts.list)
}

/** What a client may not say by the query: who pays, and a second model behind the one that was allowed. */
const WITHHELD_QUERY = new Set(['model', 'key', 'api_key', 'api-key', 'apikey', 'access_token'])

export function passedQuery(query: string, { forwardedQuery }: Protocol): string {
  if (query.length <= 1) return query
  const pairs = query.slice(1).split('&')
  const passed = pairs.filter((pair) => {
    const [name = ''] = new URLSearchParams(pair).keys()
    return forwardedQuery?.includes(name) ?? !WITHHELD_QUERY.has(name.toLowerCase())
  })
  return passed.length === 0 ? '' : `?${passed.join('&')}`
}

/**
 * The client's own version and feature headers go with its body, so they win over the provider's. Everything else that
 * the operator set wins over the client.
 */
function upstreamHeaders(ctx: RequestContext, target: TargetPlan): string[] {
  const { fields } = ctx.head
  const own = target.provider.headers
  const headers: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? ''
    if (own[name] !== undefined && !isClients(ctx.protocol, name)) continue
    if (isForwarded(ctx.protocol, name)) headers.push(name, fields[i + 1] ?? '')
  }
  for (const name in own) {
    if (isClients(ctx.protocol, name) && headField(ctx.head, name) !== null) continue
    headers.push(name, own[name] ?? '')
  }
  headers.push('accept-encoding', 'identity', 'x-request-id', ctx.requestId)
  return headers
}

/** Some marks are credentials, which never pass: there the provider's own stays. */
function isClients(protocol: Protocol, name: string): boolean {
  return protocol.marks.includes(name) && isForwarded(protocol, name)
}

/** The body is ours, so nothing that the client said about its own goes with it. */
function translatedHeaders(ctx: RequestContext, target: TargetPlan): string[] {
  const own = target.provider.headers
  const headers = ['content-type', 'application/json']
  for (const name of FORWARDED_WITH_TRANSLATION) {
    const value = headField(ctx.head, name)
    if (value !== null && own[name] === undefined) headers.push(name, value)
  }
  for (const name in own) headers.push(name, own[name] ?? '')
  headers.push('accept-encoding', 'identity', 'x-request-id', ctx.requestId)
  return headers
}

function isForwarded(protocol: Protocol, name: string): boolean {
  if (FORWARDED.has(name)) return true
  if (protocol.withheldHeaders?.includes(name) === true) return false
  for (const pattern of protocol.forwardedHeaders) {
    if (pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern)
      return true
  }
  return false
}
