import type { Protocol, ProtocolEndpoint } from '../../contracts/protocol.ts'
import type { Needs, RouteDecision, RoutingHints } from '../../contracts/routing.ts'
import { toGatewayError } from '../../errors/gateway-error.ts'
import type { KeyPlan } from '../../plan/gateway-plan.ts'
import { publicModel, type RouteContext, type RouteScope } from '../pipeline/request-context.ts'
import { resolveRoute } from '../stages/resolve-route.ts'
import { stateRequest, unsentContext } from '../what-if/unsent-request.ts'

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
  let read: ReadFacts | null = null
  let busySinceMs = performance.now()
  for (const seed of seeds) {
    const ctx = contextOf(isolated, request, seed)
    routes.push(await simulateRoute(ctx, request, read))
    read ??= { envelope: ctx.envelope, needs: ctx.needs, input: ctx.input }
    if (performance.now() - busySinceMs < BUSY_MS) continue
    await new Promise((resolve) => setImmediate(resolve))
    busySinceMs = performance.now()
  }
  return routes
}

/** So long other requests may wait for a simulation. */
const BUSY_MS = 10

/** What was read of the body for the first seed, and is the same for all. */
type ReadFacts = Pick<RouteContext, 'envelope' | 'needs' | 'input'>

async function simulateRoute(
  ctx: RouteContext,
  request: SimulatedRequest,
  read: ReadFacts | null,
): Promise<SimulatedRoute> {
  try {
    readRequest(ctx, request, read)
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
  const pathModel = endpoint.path.includes('{model}') ? model : undefined
  const ctx = unsentContext(dataPlane, {
    served: { protocol, endpoint, pathModel, wrapper: null },
    path: endpoint.path,
    query: '',
    fields: session === null ? [] : ['x-session-id', session],
    clientIp: '',
    requestId: seed,
  })
  ctx.key = key
  ctx.hints = request.hints
  return ctx
}

function readRequest(ctx: RouteContext, request: SimulatedRequest, read: ReadFacts | null): void {
  const { body } = request
  if (body === null) return stateRequest(ctx, request)
  ctx.body = body
  ctx.needs = read?.needs ?? null
  ctx.input = read?.input ?? null
  const { maxJsonDepth } = ctx.plan.server
  ctx.envelope = read?.envelope ?? ctx.endpoint.readEnvelope(body, maxJsonDepth, ctx.pathModel)
}
