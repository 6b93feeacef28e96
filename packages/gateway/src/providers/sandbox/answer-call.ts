import { isRecord } from '../../lib/is-record.ts'
import { type Ask, BadAsk } from './ask.ts'
import { type Behaviour, parseBehaviour } from './behaviour.ts'
import type { OpenBillLine } from './bill.ts'
import { countInput } from './count-input.ts'
import { embeddingsBody, readEmbeddings } from './embeddings.ts'
import { emitTurn } from './emit-turn.ts'
import {
  answerHeaders,
  type Exchange,
  gatewayRequestId,
  type Sandbox,
  sendError,
  sendJson,
} from './exchange.ts'
import { oddAnswer } from './odd-bodies.ts'
import { openOutlet } from './outlet.ts'
import { readChat } from './read-chat.ts'
import { readGemini } from './read-gemini.ts'
import { readMessagesAsk } from './read-messages.ts'
import { readResponses } from './read-responses.ts'
import { buildTurn } from './turn.ts'
import { simulated, type VendorError } from './vendor-errors.ts'
import { WIRES } from './wires.ts'

export type Answer = (sandbox: Sandbox, exchange: Exchange) => Promise<void>

export const answerChat: Answer = (sandbox, exchange) =>
  guarded(sandbox, exchange, 'openai-chat', (body) =>
    answerAsk(sandbox, exchange, readChat(body), 'chat'),
  )

export const answerMessages: Answer = (sandbox, exchange) =>
  guarded(sandbox, exchange, 'anthropic-messages', (body) =>
    answerAsk(sandbox, exchange, readMessagesAsk(body), 'messages'),
  )

export const answerResponses: Answer = (sandbox, exchange) =>
  guarded(sandbox, exchange, 'openai-responses', (body) =>
    answerAsk(sandbox, exchange, readResponses(body), 'responses'),
  )

/** The model stands in the path, and so does whether the answer is streamed. */
export const answerGemini: Answer = (sandbox, exchange) =>
  guarded(sandbox, exchange, 'gemini', (body) =>
    answerAsk(sandbox, exchange, readGemini(body, exchange.path), 'gemini'),
  )

export const answerCountTokens: Answer = (sandbox, exchange) =>
  guarded(sandbox, exchange, 'anthropic-messages', (body) =>
    answerCount(sandbox, exchange, readMessagesAsk(body, true)),
  )

export const answerGeminiCount: Answer = (sandbox, exchange) =>
  guarded(sandbox, exchange, 'gemini', (body) => {
    const inner = body['generateContentRequest']
    const request = isRecord(inner) ? inner : body
    return answerCount(sandbox, exchange, readGemini(request, exchange.path))
  })

/** Counting is free of charge, so it has no line in the bill. */
async function answerCount(sandbox: Sandbox, exchange: Exchange, ask: Ask): Promise<void> {
  const behaviour = parseBehaviour(ask.model)
  const error = behaviour === null ? noSuchModel(ask.model) : askedError(behaviour)
  if (error !== null) return sendError(exchange, ask.protocol, error)
  const inputTokens = await countInput(sandbox.count, ask)
  const told =
    ask.protocol === 'gemini' ? { totalTokens: inputTokens } : { input_tokens: inputTokens }
  const headers = answerHeaders(ask.protocol, exchange.requestId)
  sendJson(exchange.response, 200, JSON.stringify(told), headers)
}

export const answerEmbeddings: Answer = (sandbox, exchange) =>
  guarded(sandbox, exchange, 'openai-chat', async (body) => {
    const ask = readEmbeddings(body)
    const behaviour = parseBehaviour(ask.model)
    const error = behaviour === null ? noSuchModel(ask.model) : askedError(behaviour)
    if (error !== null) return refuse(sandbox, exchange, 'openai-chat', error)
    const counted = await sandbox.count(ask.texts)
    const inputTokens = ask.tokenCounts.reduce((sum, tokens) => sum + tokens, counted)
    const line = openLine(sandbox, exchange, {
      endpoint: 'embeddings',
      protocol: 'openai-chat',
      model: ask.model,
    })
    line.inputTokens = inputTokens
    line.outcome = 'finished'
    const headers = answerHeaders('openai-chat', exchange.requestId)
    sendJson(exchange.response, 200, embeddingsBody(ask, inputTokens), headers)
  })

async function answerAsk(
  sandbox: Sandbox,
  exchange: Exchange,
  ask: Ask,
  endpoint: string,
): Promise<void> {
  const behaviour = parseBehaviour(ask.model)
  const error =
    behaviour === null
      ? noSuchModel(ask.model)
      : (askedError(behaviour) ?? unproven(ask, behaviour))
  if (behaviour === null || error !== null) {
    return refuse(sandbox, exchange, ask.protocol, error ?? noSuchModel(ask.model))
  }
  const line = openLine(sandbox, exchange, { endpoint, protocol: ask.protocol, model: ask.model })
  line.stream = ask.stream
  if (behaviour.oddBody !== null) return sendOdd(exchange, ask, behaviour, line)
  const counted = countInput(sandbox.count, ask)
  const turn = buildTurn(ask, behaviour, {
    id: WIRES[ask.protocol].idPrefix + exchange.requestId,
    createdAtSec: Math.floor(exchange.receivedAtMs / 1_000),
    inputTokens: typeof counted === 'number' ? counted : await counted,
  })
  line.inputTokens = turn.usage.inputTokens
  line.cacheReadTokens = turn.usage.cacheReadTokens
  line.cacheWrite5mTokens = turn.usage.cacheWrite5mTokens
  line.cacheWrite1hTokens = turn.usage.cacheWrite1hTokens
  line.usageReported = turn.reported !== null
  await emitTurn(
    {
      response: exchange.response,
      outlet: openOutlet(exchange.response, behaviour),
      line,
      requestId: exchange.requestId,
      tokenMs: behaviour.tokenMs ?? sandbox.tokenMs,
      headers: answerHeaders(ask.protocol, exchange.requestId),
    },
    turn,
  )
}

function sendOdd(exchange: Exchange, ask: Ask, behaviour: Behaviour, line: OpenBillLine): void {
  if (behaviour.oddBody === null) return
  const odd = oddAnswer(behaviour.oddBody, behaviour, ask, exchange.requestId)
  line.outcome = 'odd_body'
  line.status = odd.status
  line.usageReported = false
  const headers = answerHeaders(ask.protocol, exchange.requestId)
  sendJson(exchange.response, odd.status, odd.body, { ...headers, ...odd.headers })
}

/** Parses the body and answers what the reader refuses as the vendor would. */
export async function guarded(
  sandbox: Sandbox,
  exchange: Exchange,
  protocol: Ask['protocol'],
  answer: (body: Record<string, unknown>) => Promise<void>,
): Promise<void> {
  try {
    const body: unknown = parse(exchange.body)
    if (!isRecord(body)) throw new BadAsk('We could not parse the JSON body of your request.')
    await answer(body)
  } catch (thrown) {
    if (!(thrown instanceof BadAsk)) throw thrown
    const { message, param } = thrown
    refuse(sandbox, exchange, protocol, { status: 400, message, param, quota: false })
  }
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    throw new BadAsk('We could not parse the JSON body of your request.')
  }
}

export function refuse(
  sandbox: Sandbox,
  exchange: Exchange,
  protocol: Ask['protocol'],
  error: VendorError,
): void {
  const line = openLine(sandbox, exchange, { endpoint: exchange.path, protocol, model: null })
  line.outcome = 'refused'
  line.status = error.status
  line.usageReported = false
  sendError(exchange, protocol, error)
}

type LineStart = {
  readonly endpoint: string
  readonly protocol: Ask['protocol']
  readonly model: string | null
}

/** The line ends with its answer; an open one then was cut by the client. */
export function openLine(sandbox: Sandbox, exchange: Exchange, start: LineStart): OpenBillLine {
  const line = sandbox.bill.open({
    ...start,
    requestId: exchange.requestId,
    gatewayRequestId: gatewayRequestId(exchange.request),
    stream: false,
    status: 200,
    inputTokens: 0,
    cacheReadTokens: 0,
    cacheWrite5mTokens: 0,
    cacheWrite1hTokens: 0,
    outputTokens: 0,
    reasoningTokens: 0,
    usageReported: true,
    startedAtMs: exchange.receivedAtMs,
  })
  exchange.response.once('close', () => {
    line.endedAtMs = Date.now()
    if (line.outcome === 'open') line.outcome = 'cut_by_client'
  })
  return line
}

export function askedError(behaviour: Behaviour): VendorError | null {
  return behaviour.errorStatus === null ? null : simulated(behaviour.errorStatus, behaviour.quota)
}

/** A model that thinks wants its own proof back with each call that it made in this turn. */
function unproven(ask: Ask, behaviour: Behaviour): VendorError | null {
  const { unprovenCall: param } = ask
  if (param === null || behaviour.reasoningTokens === 0) return null
  const message = `${param}: the call came back without the signature of the thinking before it.`
  return { status: 400, message, param, quota: false }
}

export function noSuchModel(model: string): VendorError {
  const message = `The model \`${model}\` does not exist or you do not have access to it.`
  return { status: 404, message, param: 'model', quota: false }
}
