import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Protocol } from '../../contracts/protocol.ts'
import { GatewayError, toGatewayError } from '../../errors/gateway-error.ts'
import { newRequestId } from '../../lib/sortable-id.ts'
import type { SeenKey } from '../../plan/key-ring.ts'
import { clientLeft } from '../pipeline/client-left.ts'
import type { DataPlane } from '../pipeline/data-plane.ts'
import { RequestContext } from '../pipeline/request-context.ts'
import { refuseRequest, runRequest } from '../pipeline/run-request.ts'
import { turnEnd } from '../pipeline/turn-end.ts'
import { idempotencyKey } from '../idempotency/idempotency-key.ts'
import { authenticate } from '../stages/authenticate.ts'
import { clientAddress } from './client-address.ts'
import { formBoundary } from './form-boundary.ts'
import { EndpointTable, isModelsPath, type ServedEndpoint } from './endpoint-table.ts'
import { answerLast, type Connection, connectionOf } from './connections.ts'
import { FEEDBACK_PATH, serveFeedback, serveLocally } from './local-endpoints.ts'
import { readBody, tooLarge } from './read-body.ts'
import { readRequestHead, type RequestHead, withQueryCredential } from './request-head.ts'
import { send } from './send.ts'
import { answerBrokenConnection } from './broken-connection.ts'

/** One field alone may not be larger than what all of them usually take. */
const MAX_HEADER_BYTES = 32 * 1024
/** How often slow heads are looked for. */
const CHECK_CONNECTIONS_MS = 5000
/** What is read of a refused body; then nothing more is, until the answer has closed the connection. */
const MAX_DRAINED_BYTES = 64 * 1024

/** The data plane's server: strict HTTP in front of the pipeline. */
export function createListener(dataPlane: DataPlane): Server {
  const front = new Front(dataPlane)
  const { server: limits } = dataPlane.plan()
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: 0,
      keepAliveTimeout: limits.keepAliveMs,
      connectionsCheckingInterval: CHECK_CONNECTIONS_MS,
      // Checked with the rest of the head, so that the refusal is JSON.
      requireHostHeader: false,
      insecureHTTPParser: false,
      noDelay: true,
    },
    front.onRequest,
  )
  server.maxHeadersCount = 0
  server.on('checkContinue', front.onContinue)
  server.on('checkExpectation', front.onExpectation)
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) =>
    answerBrokenConnection(error, socket, front.protocolOf),
  )
  return server
}

class Front {
  private readonly dataPlane: DataPlane
  private readonly table: EndpointTable
  private readonly seenKeys = new WeakMap<Socket, SeenKey>()

  constructor(dataPlane: DataPlane) {
    this.dataPlane = dataPlane
    this.table = new EndpointTable(dataPlane.protocols)
  }

  readonly onRequest = (req: IncomingMessage, res: ServerResponse): void => {
    void this.handle(req, res, false)
  }

  /** The body is asked for only when the caller is known and the size allowed. */
  readonly onContinue = (req: IncomingMessage, res: ServerResponse): void => {
    void this.handle(req, res, true)
  }

  readonly protocolOf = (fields: readonly string[], path: string): Protocol =>
    this.table.protocolOf(fields, path)

  readonly onExpectation = (req: IncomingMessage, res: ServerResponse): void => {
    const error = new GatewayError('expectation_failed', 'Only 100-continue may be expected.')
    this.refuseEarly(req, res, error)
  }

  private async handle(req: IncomingMessage, res: ServerResponse, waits: boolean): Promise<void> {
    const receivedAtMs = performance.now()
    const connection = connectionOf(req.socket)
    if (connection.closing) return
    let head: RequestHead
    try {
      head = readRequestHead(req)
    } catch (thrown) {
      return this.refuseEarly(req, res, toGatewayError(thrown))
    }
    const served = this.table.find(head.path)
    if (served === null) return this.serveOther(connection, head, { req, res, waits })
    if (head.wantsUpgrade) answerLast(connection, res)
    head = withQueryCredential(head, served.protocol.credentialQuery)
    if (head.method !== 'POST') {
      const error = new GatewayError('method_not_allowed', `${head.path} takes POST.`, {
        details: { headers: { allow: 'POST' } },
      })
      return this.refuseEarly(req, res, error, served)
    }
    const ctx = this.born(head, served, { receivedAtMs, socket: req.socket })
    this.follow(ctx, connection, res)
    let once: string | null = null
    try {
      authenticate(ctx)
      ctx.body = await this.receive(ctx, req, waits ? res : null)
      const others = turnEnd(this.dataPlane.load)
      if (others !== null) await others
      if (ctx.plan.idempotency !== null) once = idempotencyKey(head)
    } catch (thrown) {
      if (!req.complete) closeAfter(req, res)
      return refuseRequest(ctx, res, thrown)
    }
    return once === null ? runRequest(ctx, res) : this.dataPlane.idempotent.serve(ctx, res, once)
  }

  /** What no provider is asked for. */
  private serveOther(
    connection: Connection,
    head: RequestHead,
    { req, res, waits }: { req: IncomingMessage; res: ServerResponse; waits: boolean },
  ): void | Promise<void> {
    const { dataPlane } = this
    const protocol = this.table.protocolOf(head.fields, head.path)
    if (head.path === FEEDBACK_PATH) {
      if (waits) res.writeContinue()
      return serveFeedback({ dataPlane, protocol, head, req, res })
    }
    if (head.wantsUpgrade || head.hasBody) answerLast(connection, res)
    const known = isModelsPath(protocol, head.path)
      ? withQueryCredential(head, protocol.credentialQuery)
      : head
    serveLocally({ dataPlane, protocol, head: known, req, res })
  }

  /** Counts the request until its answer is gone. */
  private follow(ctx: RequestContext, connection: Connection, res: ServerResponse): void {
    const { load } = this.dataPlane
    load.inFlight++
    connection.openAnswers++
    res.on('close', () => {
      load.inFlight--
      connection.openAnswers--
      onClose(ctx, res)
    })
  }

  private born(
    head: RequestHead,
    served: ServedEndpoint,
    arrival: { receivedAtMs: number; socket: Socket },
  ): RequestContext {
    const { dataPlane } = this
    const plan = dataPlane.plan()
    return new RequestContext({
      dataPlane,
      plan,
      head,
      protocol: served.protocol,
      endpoint: served.endpoint,
      pathModel: served.pathModel,
      wrapper: served.wrapper,
      requestId: newRequestId(),
      receivedAtMs: arrival.receivedAtMs,
      startedAtMs: dataPlane.clock.wallMs(),
      clientIp: clientAddress(head, arrival.socket.remoteAddress, plan.server.trustedProxies),
      seenKey: this.seenKeyOf(arrival.socket),
    })
  }

  private seenKeyOf(socket: Socket): SeenKey {
    let seen = this.seenKeys.get(socket)
    if (seen === undefined) {
      seen = { secret: '', hashes: [] }
      this.seenKeys.set(socket, seen)
    }
    return seen
  }

  private receive(
    ctx: RequestContext,
    req: IncomingMessage,
    waiting: ServerResponse | null,
  ): Promise<Buffer> {
    const { maxBodyBytes, maxDocumentBodyBytes } = ctx.plan.server
    const maxBytes = ctx.endpoint.carriesDocuments ? maxDocumentBodyBytes : maxBodyBytes
    if ((ctx.head.contentLength ?? 0) > maxBytes) throw tooLarge(maxBytes)
    checkEncoding(ctx.head)
    ctx.boundary = formBoundary(ctx.head)
    if (ctx.boundary !== null && ctx.endpoint.readForm === undefined) {
      throw new GatewayError('unsupported_media_type', 'The body must be JSON.')
    }
    waiting?.writeContinue()
    const idleMs = ctx.plan.server.bodyIdleTimeoutMs
    return readBody(req, { maxBytes, idleMs, watchdog: this.dataPlane.watchdog })
  }

  /** For requests that never became one of ours: answered in the protocol that their path or headers suggest. */
  private refuseEarly(
    req: IncomingMessage,
    res: ServerResponse,
    error: GatewayError,
    served: ServedEndpoint | null = null,
  ): void {
    const requestId = newRequestId()
    const path = (req.url ?? '').split('?')[0] ?? ''
    const protocol = served?.protocol ?? this.table.protocolOf(lowerNames(req.rawHeaders), path)
    closeAfter(req, res)
    const rendered = protocol.renderError(error, requestId)
    const headers = ['content-type', 'application/json', 'x-request-id', requestId]
    for (const name in rendered.headers) headers.push(name, rendered.headers[name] ?? '')
    send(res, rendered.status, headers, Buffer.from(rendered.body))
  }
}

/** The one place that learns that a client left before its answer was whole. */
function onClose(ctx: RequestContext, res: ServerResponse): void {
  if (res.writableFinished) return
  if (ctx.audience === null) clientLeft(ctx)
  else ctx.audience.left(ctx)
}

/** A body that was not read could be taken for the next request: the rest is dropped, or the connection closed. */
function closeAfter(req: IncomingMessage, res: ServerResponse): void {
  answerLast(connectionOf(req.socket), res)
  let drainedBytes = 0
  req.on('data', (chunk: Buffer) => {
    drainedBytes += chunk.length
    if (drainedBytes > MAX_DRAINED_BYTES) req.pause()
  })
  req.on('error', () => {})
}

function checkEncoding(head: RequestHead): void {
  for (let i = 0; i < head.fields.length; i += 2) {
    const value = (head.fields[i + 1] ?? '').toLowerCase()
    if (head.fields[i] === 'content-encoding' && value !== 'identity') {
      throw new GatewayError(
        'unsupported_media_type',
        'Compressed request bodies are not accepted.',
      )
    }
  }
}

function lowerNames(raw: readonly string[]): string[] {
  return raw.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text))
}
