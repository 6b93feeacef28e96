import type { Envelope } from '../../contracts/envelope.ts'
import type { Needs } from '../../contracts/routing.ts'
import type { ServedEndpoint } from '../http/endpoint-table.ts'
import { RequestContext, type RouteContext, type RouteScope } from '../pipeline/request-context.ts'

/** A request that nobody sends: no connection, no credential. */
export type UnsentRequest = {
  readonly served: ServedEndpoint
  readonly path: string
  readonly query: string
  /** Lower-case names and values in turn. */
  readonly fields: readonly string[]
  readonly clientIp: string
  readonly requestId: string
}

export function unsentContext<Scope extends RouteScope>(
  dataPlane: Scope,
  request: UnsentRequest,
): RequestContext<Scope> {
  const { served, path, query, fields, clientIp, requestId } = request
  const ctx = new RequestContext({
    dataPlane,
    plan: dataPlane.plan(),
    head: {
      method: 'POST',
      path,
      query,
      fields,
      credential: null,
      contentLength: null,
      hasBody: true,
      wantsUpgrade: false,
    },
    protocol: served.protocol,
    endpoint: served.endpoint,
    pathModel: served.pathModel,
    wrapper: served.wrapper,
    requestId,
    receivedAtMs: dataPlane.clock.monotonicMs(),
    startedAtMs: dataPlane.clock.wallMs(),
    clientIp,
    seenKey: { secret: '', hashes: [] },
  })
  ctx.waitsForRoom = false
  return ctx
}

/** A request of which only the size and the needs are told, not what it says. */
export type StatedRequest = {
  readonly model: string
  readonly stream: boolean
  readonly inputTokens: number
  /** The client's own cap; null: it gives none. */
  readonly maxOutputTokens: number | null
  readonly needs: Omit<Needs, 'streaming'>
}

const NOTHING = new Map()
const NO_VALUES = {}

/** In the place of a body and its envelope. */
export function stateRequest(ctx: RouteContext, stated: StatedRequest): void {
  const { model, stream, inputTokens, maxOutputTokens, needs } = stated
  const envelope: Envelope = {
    model,
    modelSpan: null,
    stream,
    maxOutputTokens,
    maxOutputSpans: [],
    choices: 1,
    streamUsage: false,
    members: NOTHING,
    membersEndAt: 0,
    sizeBytes: inputTokens,
    values: () => NO_VALUES,
  }
  ctx.envelope = envelope
  ctx.statedInputTokens = inputTokens
  ctx.needs = { ...needs, streaming: stream }
}
