import { framesOf } from './frames.ts'
import {
  any,
  count,
  isRecord,
  listOf,
  maybe,
  nullable,
  object,
  oneOf,
  problemsOf,
  type Shape,
  text,
  variant,
} from './shape.ts'

/**
 * Required members and closed sets of words by the types of `@anthropic-ai/sdk`. Members that the types require and the
 * provider's documented answers leave out (`container`, `diagnostics`, `caller`, `citations`) are optional here.
 */
const STOPS = [
  'end_turn',
  'max_tokens',
  'stop_sequence',
  'tool_use',
  'pause_turn',
  'refusal',
  'model_context_window_exceeded',
] as const

const usage = object({
  input_tokens: count,
  output_tokens: count,
  cache_creation_input_tokens: maybe(nullable(count)),
  cache_read_input_tokens: maybe(nullable(count)),
})

const block = variant('type', {
  text: object({ text }),
  thinking: object({ thinking: text, signature: text }),
  redacted_thinking: object({ data: text }),
  tool_use: object({ id: text, name: text, input: object({}) }),
})

function message(stop: Shape): Shape {
  return object({
    id: text,
    type: oneOf('message'),
    role: oneOf('assistant'),
    model: text,
    content: listOf(block),
    stop_reason: stop,
    stop_sequence: nullable(text),
    usage,
  })
}

const EVENTS: Readonly<Record<string, Shape>> = {
  message_start: object({ message: message(oneOf(null)) }),
  content_block_start: object({ index: count, content_block: block }),
  content_block_delta: object({
    index: count,
    delta: variant('type', {
      text_delta: object({ text }),
      input_json_delta: object({ partial_json: text }),
      thinking_delta: object({ thinking: text }),
      signature_delta: object({ signature: text }),
      citations_delta: object({ citation: any }),
    }),
  }),
  content_block_stop: object({ index: count }),
  message_delta: object({
    delta: object({ stop_reason: oneOf(...STOPS), stop_sequence: nullable(text) }),
    usage: object({ output_tokens: count }),
  }),
  message_stop: object({}),
  ping: object({}),
}

export const anthropicError: Shape = object({
  type: oneOf('error'),
  error: object({ type: text, message: text }),
})

export function checkMessagesAnswer(body: unknown): readonly string[] {
  return problemsOf(message(oneOf(...STOPS)), body)
}

/** Blocks open one after the other, with growing indexes from 0; deltas fit their block; one start and one end. */
export function checkMessagesStream(stream: string): readonly string[] {
  const order: string[] = []
  const state: State = { problems: [], next: 0, open: null }
  for (const { data, event } of framesOf(stream)) {
    state.problems.push(...problemsOf(variant('type', EVENTS), data))
    if (!isRecord(data) || data['type'] === 'ping') continue
    const type = String(data['type'])
    if (event !== type) state.problems.push(`event ${event} with the type ${type}`)
    order.push(type)
    followBlock(type, data, state)
  }
  const outer = order.filter((type) => !type.startsWith('content_block')).join(' ')
  if (outer !== 'message_start message_delta message_stop') state.problems.push(`events: ${outer}`)
  if (order[0] !== 'message_start' || order.at(-2) !== 'message_delta') {
    state.problems.push('blocks outside the message')
  }
  if (state.open !== null) state.problems.push('a block that never ends')
  return state.problems
}

type State = {
  readonly problems: string[]
  /** The index of the next block. */
  next: number
  open: { readonly index: unknown; readonly type: unknown } | null
}

function followBlock(type: string, data: Record<string, unknown>, state: State): void {
  const { index } = data
  const at = JSON.stringify(index)
  if (type === 'content_block_start') {
    if (state.open !== null) state.problems.push(`block ${at} opens inside another`)
    if (index !== state.next++) state.problems.push(`block ${at} is out of order`)
    const opened = data['content_block']
    state.open = { index, type: isRecord(opened) ? opened['type'] : null }
  } else if (type.startsWith('content_block')) {
    if (state.open?.index !== index)
      state.problems.push(`${type} of block ${at}, which is not open`)
    if (type === 'content_block_stop') state.open = null
    else state.problems.push(...misfit(state.open?.type, data['delta']))
  }
}

const DELTAS: ReadonlyMap<unknown, readonly string[]> = new Map([
  ['text', ['text_delta', 'citations_delta']],
  ['thinking', ['thinking_delta', 'signature_delta']],
  ['tool_use', ['input_json_delta']],
])

function misfit(blockType: unknown, delta: unknown): readonly string[] {
  const type = isRecord(delta) ? String(delta['type']) : ''
  return DELTAS.get(blockType)?.includes(type) === true
    ? []
    : [`${type} in a block of the type ${String(blockType)}`]
}
