import type { AlsoTakes } from '../../contracts/protocol.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { isRecord } from '../../lib/is-record.ts'
import type { Envelope } from '../../contracts/envelope.ts'
import { CustomTools } from '../../protocols/translation/custom-tools.ts'
import { Losses } from '../../protocols/translation/losses.ts'
import type { RouteContext } from '../pipeline/request-context.ts'

/** A body said in other words. `losses`: fields that these have no room for. */
export type AdoptedBody = { readonly body: Buffer; readonly losses: readonly string[] }

/**
 * A body that the endpoint refuses, in its own words, when it is one of the other protocol that clients post there too:
 * Cursor sends Responses to chat completions and wants a chat answer. Null for anything else.
 *
 * `thrown`: why the endpoint refused it. Usage on the stream is not asked for here: the client did not, and the gateway asks for itself.
 */
export function adoptBody(ctx: RouteContext, thrown: unknown): AdoptedBody | null {
  const { alsoTakes } = ctx.endpoint
  const own = ctx.protocol.dialect
  if (alsoTakes === undefined || own === null || !isAbout(thrown, alsoTakes.unless)) return null
  const other = ctx.dataPlane.protocols.find(({ id }) => id === alsoTakes.protocol)?.dialect ?? null
  const envelope = other === null ? null : readAs(ctx, alsoTakes)
  if (other === null || envelope === null) return null
  const { model, stream } = envelope
  const losses = new Losses()
  const value: unknown = envelope.values()
  const asked = other.readRequest(isRecord(value) ? value : {}, { model, stream, losses })
  const custom = asked.tools.some(({ kind }) => kind === 'custom')
  if (custom && !own.customTools) losses.add('tools[].type=custom')
  const said = own.customTools ? asked : new CustomTools(asked.tools).wrapRequest(asked)
  const text = own.writeRequest(said, {
    maxOutputTokens: 0,
    outputCapMember: null,
    refusesUsageOption: true,
    keeps: () => true,
    losses,
  })
  return { body: Buffer.from(text), losses: losses.list }
}

/** Any other problem is the body's own: reading it again would only cost time. */
function isAbout(thrown: unknown, member: string): boolean {
  return thrown instanceof GatewayError && thrown.details.param === member
}

function readAs(ctx: RouteContext, { protocol, unless }: AlsoTakes): Envelope | null {
  const other = ctx.dataPlane.protocols.find(({ id }) => id === protocol)
  const endpoint = other?.dialect?.endpointFor(false)
  if (endpoint === undefined) return null
  try {
    const envelope = endpoint.readEnvelope(ctx.body, ctx.plan.server.maxJsonDepth)
    return envelope.members.has(unless) ? null : envelope
  } catch {
    return null
  }
}
