import type { Conversation } from '../../contracts/conversation.ts'
import type { ByteEdit } from '../../contracts/envelope.ts'
import type { Dialect } from '../../contracts/dialect.ts'
import type { Protocol } from '../../contracts/protocol.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { applyEdits } from '../../lib/byte-edits.ts'
import { isRecord } from '../../lib/is-record.ts'
import type { ProviderPlan, TargetPlan } from '../../plan/gateway-plan.ts'
import { CustomTools } from '../../protocols/translation/custom-tools.ts'
import { fitNames } from '../../protocols/translation/fit-names.ts'
import { Losses } from '../../protocols/translation/losses.ts'
import { SEAL_MARK } from '../../protocols/translation/seal.ts'
import { known, type RouteContext } from '../pipeline/request-context.ts'
import { Translation } from './translation.ts'

/** A protocol that a provider can be spoken to in when it does not speak the client's; null: it has none. */
export function bridgeTo(ctx: RouteContext, provider: ProviderPlan): Protocol | null {
  if (!ctx.endpoint.translated || ctx.protocol.dialect === null) return null
  for (const id of provider.protocols) {
    const protocol = ctx.dataPlane.protocols.find((one) => one.id === id)
    if (protocol !== undefined && protocol.dialect !== null) return protocol
  }
  return null
}

/** Whether the request's own bytes may go to the provider. */
export function speaksNatively(ctx: RouteContext, provider: ProviderPlan): boolean {
  return provider.protocols.includes(ctx.protocol.id)
}

/**
 * The protocol to translate into for this provider; null: the bytes pass.
 *
 * A body that holds what another provider sealed cannot pass as it is, even where the protocol is the same: the provider
 * would refuse a signature that is not its own.
 */
export function bridgeFor(ctx: RouteContext, provider: ProviderPlan): Protocol | null {
  if (!speaksNatively(ctx, provider)) return bridgeTo(ctx, provider)
  if (!ctx.endpoint.translated || ctx.protocol.dialect === null) return null
  return ctx.body.includes(SEAL_MARK) ? ctx.protocol : null
}

/** Says a request in the words of a target's protocol. `edits`: what the policy adds to it. Throws `not_translatable`. */
export function translateRequest(
  ctx: RouteContext,
  target: TargetPlan,
  { bridge, edits }: { readonly bridge: Protocol; readonly edits: readonly ByteEdit[] },
): Translation {
  const client = dialectOf(ctx.protocol)
  const upstream = dialectOf(bridge)
  const losses = new Losses()
  const asked = readConversation(ctx, edits, losses)
  const customTools = upstream.customTools ? null : new CustomTools(asked.tools)
  const wrapped = customTools?.wrapRequest(asked) ?? asked
  const fitted = fitNames(wrapped, upstream)
  const { provider } = target
  const text = upstream.writeRequest(
    {
      ...fitted.conversation,
      model: target.model,
      maxOutputTokens: ctx.outputCap ?? asked.maxOutputTokens,
    },
    {
      maxOutputTokens: target.maxOutputTokens,
      outputCapMember: provider.outputCapMember,
      refusesUsageOption: provider.refusesUsageOption,
      keeps: ({ origin }) =>
        origin === null ? bridge.id === ctx.protocol.id : origin === provider.name,
      losses,
    },
  )
  refuseLosses(ctx, losses.list)
  const envelope = known(ctx.envelope, 'envelope')
  return new Translation({
    client,
    upstream,
    upstreamProtocol: bridge,
    endpoint: upstream.endpointFor(envelope.stream),
    body: Buffer.from(text),
    losses: losses.list,
    conversation: asked,
    clientName: fitted.clientName,
    customTools,
    providerName: provider.name,
    requestId: ctx.requestId,
    createdAtMs: ctx.startedAtMs,
    streamUsage: envelope.streamUsage,
  })
}

function readConversation(
  ctx: RouteContext,
  edits: readonly ByteEdit[],
  losses: Losses,
): Conversation {
  const { model, stream } = known(ctx.envelope, 'envelope')
  const body = edits.length === 0 ? ctx.body : applyEdits(ctx.body, edits)
  const value: unknown = JSON.parse(body.toString('utf8'))
  const request = isRecord(value) ? value : {}
  return dialectOf(ctx.protocol).readRequest(request, { model, stream, losses })
}

/** Throws `not_translatable` when the caller's policy wants all or nothing. */
export function refuseLosses(ctx: RouteContext, losses: readonly string[]): void {
  const [first] = losses
  if (first === undefined || !known(ctx.terms, 'terms').policy.strictTranslation) return
  throw new GatewayError(
    'not_translatable',
    `The request would have to be said in another protocol, which cannot carry ${losses.join(', ')}.`,
    { details: { param: first } },
  )
}

function dialectOf({ id, dialect }: Protocol): Dialect {
  if (dialect === null) throw new TypeError(`${id} has no dialect`)
  return dialect
}
