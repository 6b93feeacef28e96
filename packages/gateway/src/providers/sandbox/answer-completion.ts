import { isRecord } from '../../lib/is-record.ts'
import { type Answer, askedError, guarded, noSuchModel, openLine, refuse } from './answer-call.ts'
import { type Ask, BadAsk } from './ask.ts'
import { parseBehaviour } from './behaviour.ts'
import { countInput } from './count-input.ts'
import { answerHeaders, type Exchange, type Sandbox, sendJson } from './exchange.ts'
import { openOutlet } from './outlet.ts'
import { readBoolean, readInteger, readStrings, readText } from './read-fields.ts'
import { buildTurn, type Turn } from './turn.ts'

type Body = Readonly<Record<string, unknown>>

/** The prompts of one request, each of which is answered `n` times. */
type Prompts = {
  readonly texts: readonly string[]
  readonly idCount: number
  readonly count: number
}

export const answerCompletion: Answer = (sandbox, exchange) =>
  guarded(sandbox, exchange, 'openai-chat', async (body) => {
    const prompts = readPrompts(body['prompt'])
    const ask = readAsk(body, prompts)
    const behaviour = parseBehaviour(ask.model)
    const error = behaviour === null ? noSuchModel(ask.model) : askedError(behaviour)
    if (behaviour === null || error !== null) {
      return refuse(sandbox, exchange, 'openai-chat', error ?? noSuchModel(ask.model))
    }
    const { model, stream } = ask
    const start = { endpoint: 'completions', protocol: 'openai-chat', model } as const
    const line = openLine(sandbox, exchange, start)
    line.stream = stream
    const turn = buildTurn(ask, behaviour, {
      id: `cmpl-${exchange.requestId}`,
      createdAtSec: Math.floor(exchange.receivedAtMs / 1_000),
      inputTokens: (await countInput(sandbox.count, ask)) + prompts.idCount,
    })
    line.inputTokens = turn.usage.inputTokens
    line.outputTokens = turn.usage.outputTokens
    line.usageReported = turn.reported !== null && (!stream || ask.streamUsage)
    const choices = prompts.count * (readInteger(body, 'n', 1, 128) ?? 1)
    if (stream) await sendStream(sandbox, exchange, turn, choices)
    else sendWhole(exchange, turn, choices)
    if (line.outcome === 'open') line.outcome = 'finished'
  })

function readPrompts(prompt: unknown): Prompts {
  const list: readonly unknown[] = Array.isArray(prompt) ? prompt : [prompt]
  const isIds = list.every((entry) => typeof entry === 'number')
  const texts = list.filter((entry) => typeof entry === 'string')
  const ids = list.filter((entry) => Array.isArray(entry))
  if (list.length === 0 || (!isIds && texts.length + ids.length < list.length)) {
    throw new BadAsk("Missing required parameter: 'prompt'.", 'prompt')
  }
  if (isIds) return { texts: [], idCount: list.length, count: 1 }
  return { texts, idCount: ids.reduce((sum, one) => sum + one.length, 0), count: list.length }
}

/** A completion as a chat without messages. All of `best_of` are paid for. */
function readAsk(body: Body, prompts: Prompts): Ask {
  const options = body['stream_options']
  const choices = Math.max(
    readInteger(body, 'n', 1, 128) ?? 1,
    readInteger(body, 'best_of', 1, 128) ?? 1,
  )
  return {
    protocol: 'openai-chat',
    model: readText(body, 'model'),
    stream: readBoolean(body, 'stream'),
    texts: prompts.texts,
    messageCount: 0,
    imageCount: 0,
    lastUserText: prompts.texts.at(-1) ?? '',
    toolResults: 0,
    tools: [],
    toolChoice: { kind: 'none' },
    maxTokens: readInteger(body, 'max_tokens', 0, 1_000_000),
    stop: readStrings(body['stop'], 'stop', 4),
    choices: choices * prompts.count,
    streamUsage: isRecord(options) && options['include_usage'] === true,
    jsonSchema: undefined,
    showsReasoning: false,
    tellsState: false,
    unprovenCall: null,
  }
}

function sendWhole(exchange: Exchange, turn: Turn, choices: number): void {
  const text = piecesOf(turn).join('')
  const finish = finishOf(turn)
  const list = Array.from({ length: choices }, (_, index) => choice(index, text, finish))
  const usage = turn.reported === null ? {} : { usage: usageOf(turn) }
  const body = JSON.stringify({ ...headOf(turn), choices: list, ...usage })
  sendJson(exchange.response, 200, body, answerHeaders('openai-chat', exchange.requestId))
}

async function sendStream(
  sandbox: Sandbox,
  exchange: Exchange,
  turn: Turn,
  choices: number,
): Promise<void> {
  const { response, requestId } = exchange
  const outlet = openOutlet(response, turn.behaviour)
  response.writeHead(200, {
    ...answerHeaders('openai-chat', requestId),
    'content-type': 'text/event-stream; charset=utf-8',
  })
  const write = (rest: Body): Promise<void> =>
    outlet.write(`data: ${JSON.stringify({ ...headOf(turn), ...rest })}\n\n`)
  for (let index = 0; index < choices; index++) {
    for (const piece of piecesOf(turn)) {
      await outlet.pause(turn.behaviour.tokenMs ?? sandbox.tokenMs)
      await write({ choices: [choice(index, piece, null)] })
    }
    await write({ choices: [choice(index, '', finishOf(turn))] })
  }
  if (turn.ask.streamUsage && turn.reported !== null) {
    await write({ choices: [], usage: usageOf(turn) })
  }
  await outlet.write('data: [DONE]\n\n')
  outlet.end()
}

function headOf(turn: Turn): Body {
  const { id, createdAtSec, ask } = turn
  return { id, object: 'text_completion', created: createdAtSec, model: ask.model }
}

function choice(index: number, text: string, finish: string | null): Body {
  return { text, index, logprobs: null, finish_reason: finish }
}

function piecesOf({ blocks }: Turn): readonly string[] {
  return blocks.flatMap((block) => (block.kind === 'text' ? block.pieces : []))
}

function finishOf({ finish }: Turn): string {
  return finish === 'length' ? 'length' : 'stop'
}

function usageOf({ reported }: Turn): Body {
  const prompt = (reported?.inputTokens ?? 0) + (reported?.cacheReadTokens ?? 0)
  const completion = reported?.outputTokens ?? 0
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: reported?.cacheReadTokens ?? 0 },
  }
}
