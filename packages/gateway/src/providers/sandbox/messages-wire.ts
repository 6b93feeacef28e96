import type { Block } from './answer.ts'
import { REASONING_STATES } from './reasoning-state.ts'
import type { Frame, Turn, TurnUsage } from './turn.ts'

const SIGNATURE = REASONING_STATES['anthropic-messages']

/**
 * Answers in Anthropic's Messages shape.
 *
 * Source: docs.anthropic.com/en/api/messages and /messages-streaming and the types of `@anthropic-ai/sdk`, from knowledge.
 */
export function messagesBody(turn: Turn): string {
  return JSON.stringify({
    ...messageHead(turn),
    content: turn.blocks.map(wholeBlock),
    stop_reason: stopReason(turn),
    stop_sequence: turn.stopSequence,
    ...(turn.reported === null ? {} : { usage: messagesUsage(turn.reported) }),
  })
}

/** message_start, ping, blocks with contiguous indexes, message_delta with cumulative usage, message_stop. */
export function* messagesFrames(turn: Turn): Generator<Frame> {
  yield messageStart(turn)
  yield { text: PING, tokens: 0 }
  for (const [index, block] of turn.blocks.entries()) yield* blockFrames(block, index)
  const delta = { stop_reason: stopReason(turn), stop_sequence: turn.stopSequence }
  yield event('message_delta', {
    type: 'message_delta',
    delta,
    ...(turn.reported === null ? {} : { usage: finalUsage(turn.reported) }),
  })
  yield event('message_stop', { type: 'message_stop' })
}

export const PING = 'event: ping\ndata: {"type": "ping"}\n\n'

function event(name: string, data: Readonly<Record<string, unknown>>, tokens = 0): Frame {
  return { text: `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`, tokens }
}

function messageHead(turn: Turn): Record<string, unknown> {
  return { id: turn.id, type: 'message', role: 'assistant', model: turn.ask.model }
}

/** The first count of output tokens is provisional; the last word is in message_delta. */
function messageStart(turn: Turn): Frame {
  const usage =
    turn.reported === null
      ? {}
      : {
          usage: messagesUsage({
            ...turn.reported,
            outputTokens: Math.min(1, turn.reported.outputTokens),
          }),
        }
  return event('message_start', {
    type: 'message_start',
    message: {
      ...messageHead(turn),
      content: [],
      stop_reason: null,
      stop_sequence: null,
      ...usage,
    },
  })
}

function* blockFrames(block: Block, index: number): Generator<Frame> {
  const opened = { type: 'content_block_start', index, content_block: emptyBlock(block) }
  yield event('content_block_start', opened, block.kind === 'tool' ? 1 : 0)
  const { type, field } = DELTAS[block.kind]
  const head = `event: content_block_delta\ndata: {"type":"content_block_delta","index":${index},"delta":{"type":"${type}","${field}":`
  for (const piece of block.pieces) {
    yield { text: `${head}${JSON.stringify(piece)}}}\n\n`, tokens: 1 }
  }
  if (block.kind === 'reasoning') {
    const delta = { type: 'signature_delta', signature: SIGNATURE }
    yield event('content_block_delta', { type: 'content_block_delta', index, delta })
  }
  yield event('content_block_stop', { type: 'content_block_stop', index })
}

const DELTAS: Readonly<Record<Block['kind'], { readonly type: string; readonly field: string }>> = {
  text: { type: 'text_delta', field: 'text' },
  reasoning: { type: 'thinking_delta', field: 'thinking' },
  tool: { type: 'input_json_delta', field: 'partial_json' },
}

function emptyBlock(block: Block): Record<string, unknown> {
  if (block.kind === 'tool') return { type: 'tool_use', id: block.id, name: block.name, input: {} }
  if (block.kind === 'reasoning') return { type: 'thinking', thinking: '', signature: '' }
  return { type: 'text', text: '' }
}

function wholeBlock(block: Block): Record<string, unknown> {
  const text = block.pieces.join('')
  if (block.kind === 'tool') {
    const input: unknown = JSON.parse(text)
    return { type: 'tool_use', id: block.id, name: block.name, input }
  }
  return block.kind === 'text'
    ? { type: 'text', text }
    : { type: 'thinking', thinking: text, signature: SIGNATURE }
}

function stopReason(turn: Turn): string {
  if (turn.finish === 'tool') return 'tool_use'
  if (turn.finish === 'length') return 'max_tokens'
  return turn.finish === 'stop-sequence' ? 'stop_sequence' : 'end_turn'
}

/** `input_tokens` excludes cached ones. */
function messagesUsage(usage: TurnUsage): Record<string, unknown> {
  return {
    input_tokens: usage.inputTokens,
    cache_creation_input_tokens: usage.cacheWrite5mTokens + usage.cacheWrite1hTokens,
    cache_read_input_tokens: usage.cacheReadTokens,
    cache_creation: {
      ephemeral_5m_input_tokens: usage.cacheWrite5mTokens,
      ephemeral_1h_input_tokens: usage.cacheWrite1hTokens,
    },
    output_tokens: usage.outputTokens,
    output_tokens_details: thinkingTokens(usage),
    service_tier: 'standard',
  }
}

/** message_delta repeats the input counts, as the vendor's newer versions do. */
function finalUsage(usage: TurnUsage): Record<string, unknown> {
  return {
    input_tokens: usage.inputTokens,
    cache_creation_input_tokens: usage.cacheWrite5mTokens + usage.cacheWrite1hTokens,
    cache_read_input_tokens: usage.cacheReadTokens,
    output_tokens: usage.outputTokens,
    output_tokens_details: thinkingTokens(usage),
  }
}

function thinkingTokens({ reasoningTokens }: TurnUsage): Record<string, number> | null {
  return reasoningTokens === 0 ? null : { thinking_tokens: reasoningTokens }
}
