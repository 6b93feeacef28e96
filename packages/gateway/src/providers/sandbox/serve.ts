import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  answerChat,
  answerCountTokens,
  answerEmbeddings,
  answerGemini,
  answerGeminiCount,
  answerMessages,
  answerResponses,
} from './answer-call.ts'
import { answerCompletion } from './answer-completion.ts'
import { answerImageForm, answerImages } from './answer-images.ts'
import { answerModeration, answerRerank } from './answer-lists.ts'
import { answerSpeech } from './answer-speech.ts'
import { answerTranscription } from './answer-transcription.ts'
import { parseBehaviour, SANDBOX_MODELS } from './behaviour.ts'
import { type Exchange, type Sandbox, sendError, sendJson } from './exchange.ts'
import type { LoggedRequest, RequestLog } from './request-log.ts'

const MAX_BODY_BYTES = 64 << 20

type Handle = (sandbox: Sandbox, exchange: Exchange, log: RequestLog) => void | Promise<void>

/** By the end of the path, so that a base path (`/openai/v1`, an Azure deployment) may come before it. */
const CALLS: readonly (readonly [suffix: string, handle: Handle])[] = [
  ['/chat/completions', answerChat],
  ['/messages', answerMessages],
  ['/messages/count_tokens', answerCountTokens],
  ['/embeddings', answerEmbeddings],
  ['/completions', answerCompletion],
  ['/moderations', answerModeration],
  ['/rerank', answerRerank],
  ['/images/generations', answerImages],
  ['/images/edits', answerImageForm],
  ['/images/variations', answerImageForm],
  ['/audio/speech', answerSpeech],
  ['/audio/transcriptions', answerTranscription],
  ['/audio/translations', answerTranscription],
  ['/responses', answerResponses],
  [':generateContent', answerGemini],
  [':streamGenerateContent', answerGemini],
  [':countTokens', answerGeminiCount],
]

const VIEWS: ReadonlyMap<string, Handle> = new Map<string, Handle>([
  ['HEAD /', (_, { response }) => void response.writeHead(200).end()],
  ['GET /', (_, { response }) => sendJson(response, 200, '{"status":"ok"}')],
  ['GET /sandbox/bill', sendBill],
  ['DELETE /sandbox/bill', clearBill],
  ['GET /sandbox/requests', sendRequests],
])

/** Answers one request. Rejects only on a bug. */
export async function serve(
  sandbox: Sandbox,
  log: RequestLog,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const requestId = `req_sandbox${randomBytes(9).toString('hex')}`
  const body = await readBody(request)
  const receivedAtMs = Date.now()
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/'
  if (body === null) return sendJson(response, 413, '{"error":{"message":"too large"}}')
  const exchange: Exchange = { request, response, path, body, requestId, receivedAtMs }
  if (!path.startsWith('/sandbox/')) remember(log, exchange)
  await route(request.method ?? 'GET', path)(sandbox, exchange, log)
}

function route(method: string, path: string): Handle {
  const view = VIEWS.get(`${method} ${path}`)
  if (view !== undefined) return view
  if (method === 'GET' && path.endsWith('/models')) return sendModels
  if (method === 'GET' && path.includes('/models/')) return sendModel
  if (method !== 'POST') return sendNotFound
  return CALLS.find(([suffix]) => path.endsWith(suffix))?.[1] ?? sendNotFound
}

/** Null: more than the sandbox takes. */
async function readBody(request: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) continue
    sizeBytes += chunk.length
    if (sizeBytes > MAX_BODY_BYTES) return null
    chunks.push(chunk)
  }
  const [first] = chunks
  return first !== undefined && chunks.length === 1 ? first : Buffer.concat(chunks)
}

function remember(log: RequestLog, exchange: Exchange): void {
  const { body, receivedAtMs, request, requestId, response } = exchange
  const logged: LoggedRequest = {
    requestId,
    method: request.method ?? '',
    url: request.url ?? '',
    rawHeaders: request.rawHeaders,
    body,
    receivedAtMs,
    closedAtMs: null,
  }
  log.add(logged)
  response.once('close', () => {
    if (!response.writableFinished) logged.closedAtMs = Date.now()
  })
}

function sendBill(sandbox: Sandbox, exchange: Exchange): void {
  const items = sandbox.bill.lines()
  sendJson(exchange.response, 200, JSON.stringify({ items, totals: sandbox.bill.totals() }))
}

function clearBill(sandbox: Sandbox, exchange: Exchange, log: RequestLog): void {
  sandbox.bill.reset()
  log.reset()
  exchange.response.writeHead(204).end()
}

function sendRequests(_: Sandbox, exchange: Exchange, log: RequestLog): void {
  sendJson(exchange.response, 200, JSON.stringify({ items: log.entries() }))
}

function sendNotFound(_: Sandbox, exchange: Exchange): void {
  const message = `Invalid URL (${exchange.request.method} ${exchange.path})`
  const error = { status: 404, message, param: null, quota: false }
  sendError(exchange, 'openai-chat', error)
}

/** One path, two shapes: Anthropic's clients say so by their version header. */
function sendModels(_: Sandbox, exchange: Exchange): void {
  const data = SANDBOX_MODELS.map((id) => modelEntry(exchange, id))
  const ends = { has_more: false, first_id: SANDBOX_MODELS[0], last_id: SANDBOX_MODELS.at(-1) }
  const list = isAnthropic(exchange) ? { data, ...ends } : { object: 'list', data }
  sendJson(exchange.response, 200, JSON.stringify(list))
}

function sendModel(sandbox: Sandbox, exchange: Exchange): void {
  const id = decodeURIComponent(exchange.path.slice(exchange.path.indexOf('/models/') + 8))
  if (parseBehaviour(id) === null) return sendNotFound(sandbox, exchange)
  sendJson(exchange.response, 200, JSON.stringify(modelEntry(exchange, id)))
}

function modelEntry(exchange: Exchange, id: string): Record<string, unknown> {
  return isAnthropic(exchange)
    ? { type: 'model', id, display_name: id, created_at: '2026-01-01T00:00:00Z' }
    : { id, object: 'model', created: 1_767_225_600, owned_by: 'sandbox' }
}

function isAnthropic(exchange: Exchange): boolean {
  return exchange.request.headers['anthropic-version'] !== undefined
}
