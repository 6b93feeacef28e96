import type { Block } from './answer.ts'
import type { Frame, Turn, TurnUsage } from './turn.ts'

/**
 * Answers in OpenAI's chat completions shape.
 *
 * Source: platform.openai.com/docs/api-reference/chat and the types of the `openai` npm client, from knowledge.
 */
export function chatBody(turn: Turn): string {
  const choices = Array.from({ length: turn.ask.choices }, (_, index) => ({
    index,
    message: chatMessage(turn.blocks),
    logprobs: null,
    finish_reason: finishReason(turn),
  }))
  return JSON.stringify({
    id: turn.id,
    object: 'chat.completion',
    created: turn.createdAtSec,
    model: turn.ask.model,
    choices,
    ...(turn.reported === null ? {} : { usage: chatUsage(turn.reported) }),
    service_tier: 'default',
    system_fingerprint: 'fp_sandbox',
  })
}

/** The frames of a streamed answer. Choices are interleaved token by token, as the vendor does. */
export function* chatFrames(turn: Turn): Generator<Frame> {
  const { head, tail } = envelope(turn)
  const indexes = Array.from({ length: turn.ask.choices }, (_, index) => index)
  const chunk = (index: number, delta: string, finish: string): string =>
    `${head}{"index":${index},"delta":${delta},"logprobs":null,"finish_reason":${finish}}${tail}`
  for (const index of indexes) {
    const delta = '{"role":"assistant","content":"","refusal":null}'
    yield { text: chunk(index, delta, 'null'), tokens: 0 }
  }
  let toolIndex = 0
  for (const block of turn.blocks) {
    for (const delta of blockDeltas(block, toolIndex)) {
      for (const index of indexes) yield { text: chunk(index, delta, 'null'), tokens: 1 }
    }
    if (block.kind === 'tool') toolIndex += 1
  }
  for (const index of indexes) {
    yield { text: chunk(index, '{}', JSON.stringify(finishReason(turn))), tokens: 0 }
  }
  yield* ending(turn)
}

/** The constant parts of every chunk, around its one choice. */
function envelope(turn: Turn): { readonly head: string; readonly tail: string } {
  const usage = turn.ask.streamUsage ? ',"usage":null' : ''
  return { head: `${opening(turn)}"choices":[`, tail: `]${usage}}\n\n` }
}

function opening(turn: Turn): string {
  const id = JSON.stringify(turn.id)
  const model = JSON.stringify(turn.ask.model)
  return `data: {"id":${id},"object":"chat.completion.chunk","created":${turn.createdAtSec},"model":${model},"service_tier":"default","system_fingerprint":"fp_sandbox",`
}

function* ending(turn: Turn): Generator<Frame> {
  if (turn.ask.streamUsage && turn.reported !== null) {
    const usage = JSON.stringify(chatUsage(turn.reported))
    yield { text: `${opening(turn)}"choices":[],"usage":${usage}}\n\n`, tokens: 0 }
  }
  yield { text: 'data: [DONE]\n\n', tokens: 0 }
}

/** One delta per token. `id`, `type` and `name` of a tool call come once; then only fragments of its arguments. */
function* blockDeltas(block: Block, toolIndex: number): Generator<string> {
  if (block.kind === 'tool') {
    const opened = {
      index: toolIndex,
      id: block.id,
      type: 'function',
      function: { name: block.name, arguments: '' },
    }
    yield `{"tool_calls":[${JSON.stringify(opened)}]}`
    for (const piece of block.pieces) {
      yield `{"tool_calls":[{"index":${toolIndex},"function":{"arguments":${JSON.stringify(piece)}}}]}`
    }
    return
  }
  const field = block.kind === 'text' ? 'content' : 'reasoning_content'
  for (const piece of block.pieces) yield `{"${field}":${JSON.stringify(piece)}}`
}

function chatMessage(blocks: readonly Block[]): Record<string, unknown> {
  const text = joined(blocks, 'text')
  const reasoning = joined(blocks, 'reasoning')
  const calls = blocks
    .filter((block) => block.kind === 'tool')
    .map((block) => ({
      id: block.id,
      type: 'function',
      function: { name: block.name, arguments: block.pieces.join('') },
    }))
  return {
    role: 'assistant',
    content: text === '' && calls.length > 0 ? null : text,
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
    refusal: null,
    annotations: [],
  }
}

function joined(blocks: readonly Block[], kind: Block['kind']): string {
  return blocks
    .filter((block) => block.kind === kind)
    .map((block) => block.pieces.join(''))
    .join('')
}

function finishReason(turn: Turn): string {
  if (turn.finish === 'tool') return 'tool_calls'
  return turn.finish === 'length' ? 'length' : 'stop'
}

/** `prompt_tokens` includes the cached ones. */
function chatUsage(usage: TurnUsage): Record<string, unknown> {
  const promptTokens =
    usage.inputTokens + usage.cacheReadTokens + usage.cacheWrite5mTokens + usage.cacheWrite1hTokens
  return {
    prompt_tokens: promptTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: promptTokens + usage.outputTokens,
    prompt_tokens_details: { cached_tokens: usage.cacheReadTokens, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: usage.reasoningTokens,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  }
}
