import { type Answer, askedError, guarded, noSuchModel, openLine, refuse } from './answer-call.ts'
import { BadAsk } from './ask.ts'
import { type Behaviour, parseBehaviour } from './behaviour.ts'
import type { OpenBillLine } from './bill.ts'
import { type Exchange, type Sandbox, sendError } from './exchange.ts'

type Body = Record<string, unknown>

/** A call that was let in: who answers it, what it asked for, and where it is charged. */
export type MediaCall = {
  readonly sandbox: Sandbox
  readonly exchange: Exchange
  readonly body: Body
  readonly model: string
  readonly behaviour: Behaviour
  readonly line: OpenBillLine
}

type Serve = (call: MediaCall) => Promise<void>

/** A call with a JSON body. */
export function jsonCall(endpoint: string, serve: Serve): Answer {
  return (sandbox, exchange) =>
    guarded(sandbox, exchange, 'openai-chat', (body) =>
      answerCall(sandbox, exchange, { endpoint, body, serve }),
    )
}

/** A call with a form, which the platform's own parser reads: another one than the gateway's. */
export function formCall(endpoint: string, serve: Serve): Answer {
  return async (sandbox, exchange) => {
    const body = await readForm(exchange)
    const problem = { status: 400, message: 'The form cannot be read.', param: null, quota: false }
    if (body === null) return refuse(sandbox, exchange, 'openai-chat', problem)
    await answerCall(sandbox, exchange, { endpoint, body, serve })
  }
}

async function readForm({ request, body }: Exchange): Promise<Body | null> {
  const headers = { 'content-type': request.headers['content-type'] ?? '' }
  try {
    const form = await new Response(new Uint8Array(body), { headers }).formData()
    const fields: Body = {}
    for (const name of new Set(form.keys())) {
      const values = form.getAll(name)
      fields[name.replace('[]', '')] = values.length === 1 ? values[0] : values
    }
    return fields
  } catch {
    return null
  }
}

async function answerCall(
  sandbox: Sandbox,
  exchange: Exchange,
  asked: { readonly endpoint: string; readonly body: Body; readonly serve: Serve },
): Promise<void> {
  const { body, endpoint, serve } = asked
  const model = typeof body['model'] === 'string' ? body['model'] : 'omni-moderation-latest'
  const behaviour = parseBehaviour(model)
  const error = behaviour === null ? noSuchModel(model) : askedError(behaviour)
  if (behaviour === null || error !== null) {
    return refuse(sandbox, exchange, 'openai-chat', error ?? noSuchModel(model))
  }
  const line = openLine(sandbox, exchange, { endpoint, protocol: 'openai-chat', model })
  try {
    await serve({ sandbox, exchange, body, model, behaviour, line })
  } catch (thrown) {
    if (!(thrown instanceof BadAsk)) throw thrown
    line.outcome = 'refused'
    line.status = 400
    line.usageReported = false
    const { message, param } = thrown
    return sendError(exchange, 'openai-chat', { status: 400, message, param, quota: false })
  }
  if (line.outcome === 'open') line.outcome = 'finished'
}

/** Charges the call, and gives the usage object that its answer tells; null: it tells none. */
export function charge(
  { line, behaviour }: MediaCall,
  inputTokens: number,
  outputTokens: number,
): Readonly<Record<string, unknown>> | null {
  line.inputTokens = inputTokens
  line.outputTokens = outputTokens
  line.usageReported = behaviour.usage !== 'none'
  if (!line.usageReported) return null
  return {
    input_tokens: inputTokens,
    output_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
  }
}
