import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ModelListing, Protocol } from '../../contracts/protocol.ts'
import { GatewayError, toGatewayError } from '../../errors/gateway-error.ts'
import { readinessOf } from '../../lib/readiness.ts'
import { newRequestId } from '../../lib/sortable-id.ts'
import type { KeyPlan } from '../../plan/gateway-plan.ts'
import { listModels } from '../../plan/list-models.ts'
import type { DataPlane } from '../pipeline/data-plane.ts'
import { authorize, authorizeAddress, identify } from '../stages/authenticate.ts'
import { clientAddress } from './client-address.ts'
import { readFeedback } from './feedback.ts'
import { readBody } from './read-body.ts'
import type { RequestHead } from './request-head.ts'
import { send, sendJson } from './send.ts'

export type LocalRequest = {
  readonly dataPlane: DataPlane
  readonly protocol: Protocol
  readonly head: RequestHead
  readonly req: IncomingMessage
  readonly res: ServerResponse
}

const MODELS_PATH = '/v1/models'
export const FEEDBACK_PATH = '/v1/feedback'
const MAX_FEEDBACK_BYTES = 64 * 1024
/** Names in the config are not dated; a fixed time keeps the list stable for clients that compare it. */
const LISTED_AT_MS = Date.UTC(2026, 0, 1)

/** What the gateway answers by itself: probes, health, the model list, and 404 for everything else. */
export function serveLocally(request: LocalRequest): void {
  request.req.resume()
  try {
    answer(request)
  } catch (thrown) {
    refuse(request, thrown)
  }
}

function refuse({ protocol, res }: LocalRequest, thrown: unknown): void {
  const error = toGatewayError(thrown)
  const requestId = newRequestId()
  const rendered = protocol.renderError(error, requestId)
  const headers = ['content-type', 'application/json', 'x-request-id', requestId]
  for (const name in rendered.headers) headers.push(name, rendered.headers[name] ?? '')
  send(res, rendered.status, headers, Buffer.from(rendered.body))
}

/** What a client says of an answer that it got. Never rejects. */
export async function serveFeedback(request: LocalRequest): Promise<void> {
  const { dataPlane, head, req, res } = request
  try {
    if (head.method !== 'POST') {
      const details = { headers: { allow: 'POST' } }
      throw new GatewayError('method_not_allowed', `${head.path} takes POST.`, { details })
    }
    const { record } = callerOf(request, authorizeAddress)
    const { bodyIdleTimeoutMs: idleMs } = dataPlane.plan().server
    const { watchdog } = dataPlane
    const limits = { maxBytes: MAX_FEEDBACK_BYTES, idleMs, watchdog }
    const feedback = readFeedback(await readBody(req, limits))
    const taken = await dataPlane.takeFeedback(record.id, feedback)
    if (taken === null) {
      const problem = 'No answer to this key has this request_id.'
      throw new GatewayError('not_found', problem, { details: { param: 'request_id' } })
    }
    sendJson(res, 200, { request_id: feedback.requestId, score: feedback.score, ...taken })
  } catch (thrown) {
    // What is left of the body is not read.
    if (!req.complete) res.setHeader('connection', 'close')
    if (!res.destroyed) refuse(request, thrown)
  }
}

function answer(request: LocalRequest): void {
  const { head, res } = request
  const reads = head.method === 'GET' || head.method === 'HEAD'
  if (head.path === '/' && reads) return sendJson(res, 200, { name: 'tollgate', status: 'ok' })
  if (head.path === '/health' || head.path === '/healthz') {
    onlyReads(head, reads)
    return sendJson(res, 200, { status: 'ok' })
  }
  if (head.path === '/health/ready') {
    onlyReads(head, reads)
    return sendReadiness(request)
  }
  const { modelsPath = MODELS_PATH } = request.protocol
  for (const base of [MODELS_PATH, modelsPath]) {
    if (head.path !== base && !head.path.startsWith(`${base}/`)) continue
    onlyReads(head, reads)
    return sendModels(request, base)
  }
  throw new GatewayError('not_found', 'No endpoint has this path.')
}

function onlyReads(head: RequestHead, reads: boolean): void {
  if (reads) return
  throw new GatewayError('method_not_allowed', `${head.path} takes GET.`, {
    details: { headers: { allow: 'GET, HEAD' } },
  })
}

function sendReadiness({ dataPlane, res }: LocalRequest): void {
  const { ready, checks } = readinessOf(dataPlane.readiness())
  sendJson(res, ready ? 200 : 503, { status: ready ? 'ready' : 'not_ready', checks })
}

function sendModels(request: LocalRequest, base: string): void {
  const { dataPlane, protocol, head, res } = request
  const key = callerOf(request, (one, clientIp) => authorize(one, 'models', clientIp))
  const plan = dataPlane.plan()
  if (head.path === base || head.path === `${base}/`) {
    const listed = listModels(plan, key).map(toListing)
    return sendJson(res, 200, protocol.renderModels(listed))
  }
  const id = decodeId(head.path.slice(base.length + 1))
  if (!listModels(plan, key).includes(id)) {
    throw new GatewayError('model_not_found', 'No model with this id is served to this key.')
  }
  sendJson(res, 200, protocol.renderModel(toListing(id)))
}

function callerOf(
  { dataPlane, head, req }: LocalRequest,
  check: (key: KeyPlan, clientIp: string) => void,
): KeyPlan {
  const plan = dataPlane.plan()
  const clientIp = clientAddress(head, req.socket.remoteAddress, plan.server.trustedProxies)
  const { credential } = head
  const key = identify(dataPlane, plan, { credential, clientIp, nowMs: dataPlane.clock.wallMs() })
  check(key, clientIp)
  return key
}

/** Ids with slashes come literal or encoded. */
function decodeId(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function toListing(id: string): ModelListing {
  const slash = id.indexOf('/')
  return { id, ownedBy: slash === -1 ? 'tollgate' : id.slice(0, slash), createdAtMs: LISTED_AT_MS }
}
