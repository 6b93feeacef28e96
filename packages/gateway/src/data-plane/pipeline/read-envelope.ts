import type { Envelope } from '../../contracts/envelope.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { adoptBody } from '../translation/adopt-body.ts'
import type { RouteContext } from './request-context.ts'

/** What the gateway needs to know of the body, in the words of its endpoint. Throws what the client is told. */
export function readEnvelope(ctx: RouteContext): Envelope {
  const { endpoint, boundary, wrapper, plan } = ctx
  checkQuery(ctx)
  if (boundary !== null && endpoint.readForm !== undefined) {
    return endpoint.readForm(ctx.body, boundary)
  }
  if (wrapper !== null) {
    ctx.opened = wrapper.open(ctx.body, plan.server.maxJsonDepth)
    ctx.body = ctx.opened.body
  }
  try {
    return endpoint.readEnvelope(ctx.body, plan.server.maxJsonDepth, ctx.pathModel)
  } catch (thrown) {
    const adopted = adoptBody(ctx, thrown)
    if (adopted === null) throw thrown
    ctx.body = adopted.body
    ctx.adoptedLosses = adopted.losses
    return endpoint.readEnvelope(ctx.body, plan.server.maxJsonDepth, ctx.pathModel)
  }
}

/** A client that leaves out what an endpoint is asked by (`alt=sse`) expects an answer of another form. */
function checkQuery({ endpoint, head }: RouteContext): void {
  if (endpoint.query === '') return
  const asked = new URLSearchParams(head.query)
  for (const [name, value] of new URLSearchParams(endpoint.query)) {
    if (asked.get(name) === value) continue
    const problem = `${name}: must be ${value}; this endpoint is served with ${endpoint.query} only.`
    throw new GatewayError('invalid_request', problem, { details: { param: name } })
  }
}
