import type { Envelope } from '../../contracts/envelope.ts'
import type { Protocol, ProtocolEndpoint } from '../../contracts/protocol.ts'
import type { Needs, RouteDecision, RoutingHints } from '../../contracts/routing.ts'
import { toGatewayError } from '../../errors/gateway-error.ts'
import type { KeyPlan } from '../../plan/gateway-plan.ts'
import type { RequestHead } from '../http/request-head.ts'
import {
  publicModel,
  RequestContext,
  type RouteContext,
  type RouteScope,
} from '../pipeline/request-context.ts'
import { resolveRoute } from '../stages/resolve-route.ts'

/** A request that is not sent. */
export type SimulatedRequest = {
  readonly key: KeyPlan
  readonly protocol: Protocol
  readonly endpoint: ProtocolEndpoint
  readonly model: string
  /** In the endpoint's own words, with its model; null: `needs` and sizes are said instead. */
  readonly body: Buffer | null
  readonly needs: Omit<Needs, 'streaming'>
  readonly stream: boolean
  readonly inputTokens: number
  readonly maxOutputTokens: number | null
  readonly hints: RoutingHints | null
  /** Names what stays with its variant in a sticky alias; null: no session. */
  readonly session: string | null
}

/** `error`: what the client would get instead. */
export type SimulatedRoute = {
  readonly decision: RouteDecision | null
  /** In the order of the attempts. `model`: the public name it answers under. */
  readonly order: readonly { readonly target: string; readonly model: string }[]
  readonly error: {
    readonly code: string
    readonly status: number
    readonly message: string
  } | null
}

/**
 * What the selector would do with this request, once for each seed. The real stage runs on the real plan and signals, and
 * leaves no trace: nobody's turn is taken, nothing is reserved, no circuit gets its trial, the bandit learns nothing. The
 * turns of a rotation go on from seed to seed.
 */
export async function simulateRoutes(
  dataPlane: RouteScope,
  request: SimulatedRequest,
  seeds: readonly string[],
): Promise<readonly SimulatedRoute[]> {
  const isolated: RouteScope = { ...dataPlane, rotations: dataPlane.rotations.copy() }
  const routes: SimulatedRoute[] = []
  for (const seed of seeds) routes.push(await simulateRoute(isolated, request, seed))
  return routes
}

async function simulateRoute(
  dataPlane: RouteScope,
  request: SimulatedRequest,
  seed: string,
): Promise<SimulatedRoute> {
  const ctx = contextOf(dataPlane, request, seed)
  try {
    const envelope = envelopeOf(ctx, request)
    ctx.envelope = envelope
    await resolveRoute(ctx)
    const order = ctx.targets.map((target) => ({
      target: target.id,
      model: publicModel(ctx, target),
    }))
    return { decision: ctx.decision, order, error: null }
  } catch (thrown) {
    const error = toGatewayError(thrown)
    if (error.code === 'internal') throw thrown
    const { code, status, message } = error
    return { decision: ctx.decision, order: [], error: { code, status, message } }
  }
}

function contextOf(dataPlane: RouteScope, request: SimulatedRequest, seed: string): RouteContext {
  const { protocol, endpoint, model, key, session } = request
  const head: RequestHead = {
    method: 'POST',
    path: endpoint.path,
    query: '',
    fields: session === null ? [] : ['x-session-id', session],
    credential: null,
    contentLength: null,
    hasBody: true,
    wantsUpgrade: false,
  }
  const ctx = new RequestContext({
    dataPlane,
    plan: dataPlane.plan(),
    head,
    protocol,
    endpoint,
    pathModel: endpoint.path.includes('{model}') ? model : undefined,
    wrapper: null,
    requestId: seed,
    receivedAtMs: dataPlane.clock.monotonicMs(),
    startedAtMs: dataPlane.clock.wallMs(),
    clientIp: '',
    seenKey: { secret: '', hashes: [] },
  })
  ctx.key = key
  ctx.hints = request.hints
  return ctx
}

function envelopeOf(ctx: RouteContext, request: SimulatedRequest): Envelope {
  const { body, model, stream, inputTokens, maxOutputTokens } = request
  if (body !== null) {
    ctx.body = body
    return ctx.endpoint.readEnvelope(body, ctx.plan.server.maxJsonDepth, ctx.pathModel)
  }
  ctx.statedInputTokens = inputTokens
  ctx.needs = { ...request.needs, streaming: stream }
  return {
    model,
    modelSpan: null,
    stream,
    maxOutputTokens,
    maxOutputSpans: [],
    choices: 1,
    streamUsage: false,
    members: new Map(),
    membersEndAt: 0,
    sizeBytes: inputTokens,
    values: () => ({}),
  }
}
