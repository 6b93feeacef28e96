import type { Block } from './answer.ts'
import { REASONING_STATES } from './reasoning-state.ts'
import type { Frame, Turn, TurnUsage } from './turn.ts'

/**
 * Answers in OpenAI's Responses shape.
 *
 * Source: platform.openai.com/docs/api-reference/responses and /responses-streaming, from knowledge, and the types of the
 * `openai` npm client 7.55, read 2026-11-21.
 */
export function responsesBody(turn: Turn): string {
  return JSON.stringify(responseObject(turn, { done: true }))
}

type Item = Readonly<Record<string, unknown>>
type Emit = (type: string, members: Item, tokens?: number) => Frame

/** created, in_progress, each item from `added` to `done`, and the whole response again at the end. */
export function* responsesFrames(turn: Turn): Generator<Frame> {
  let sequence = 0
  const emit: Emit = (type, members, tokens = 0) => {
    const data = JSON.stringify({ type, sequence_number: sequence++, ...members })
    return { text: `event: ${type}\ndata: ${data}\n\n`, tokens }
  }
  const begun = { response: responseObject(turn, { done: false }) }
  yield emit('response.created', begun)
  yield emit('response.in_progress', begun)
  for (const [at, block] of turn.blocks.entries()) yield* itemFrames(emit, { turn, block, at })
  const end = turn.finish === 'length' ? 'response.incomplete' : 'response.completed'
  yield emit(end, { response: responseObject(turn, { done: true }) })
}

type Place = { readonly turn: Turn; readonly block: Block; readonly at: number }

function* itemFrames(emit: Emit, place: Place): Generator<Frame> {
  const { at: output_index, block, turn } = place
  const opening = block.kind === 'tool' ? 1 : 0
  const whole = wholeItem(place)
  yield emit('response.output_item.added', { output_index, item: emptied(whole) }, opening)
  const where = { item_id: whole['id'], output_index }
  if (block.kind === 'tool') yield* callFrames(emit, where, block)
  else if (block.kind === 'text') yield* textFrames(emit, where, block)
  else if (turn.ask.showsReasoning) yield* summaryFrames(emit, where, block)
  // Thinking that is not shown is paid all the same.
  else yield { text: '', tokens: block.pieces.length }
  yield emit('response.output_item.done', { output_index, item: whole })
}

function* textFrames(emit: Emit, where: Item, { pieces }: Block): Generator<Frame> {
  const place = { ...where, content_index: 0 }
  const text = pieces.join('')
  yield emit('response.content_part.added', { ...place, part: outputText('') })
  for (const delta of pieces) {
    yield emit('response.output_text.delta', { ...place, delta, logprobs: [] }, 1)
  }
  yield emit('response.output_text.done', { ...place, text, logprobs: [] })
  yield emit('response.content_part.done', { ...place, part: outputText(text) })
}

function* summaryFrames(emit: Emit, where: Item, { pieces }: Block): Generator<Frame> {
  const place = { ...where, summary_index: 0 }
  const text = pieces.join('')
  const summary = 'response.reasoning_summary'
  yield emit(`${summary}_part.added`, { ...place, part: { type: 'summary_text', text: '' } })
  for (const delta of pieces) yield emit(`${summary}_text.delta`, { ...place, delta }, 1)
  yield emit(`${summary}_text.done`, { ...place, text })
  yield emit(`${summary}_part.done`, { ...place, part: { type: 'summary_text', text } })
}

function* callFrames(emit: Emit, where: Item, block: Block): Generator<Frame> {
  const custom = block.kind === 'tool' && block.custom
  const type = custom ? 'response.custom_tool_call_input' : 'response.function_call_arguments'
  for (const delta of block.pieces) yield emit(`${type}.delta`, { ...where, delta }, 1)
  yield emit(`${type}.done`, { ...where, [custom ? 'input' : 'arguments']: block.pieces.join('') })
}

function wholeItem({ at, block, turn }: Place): Item {
  const text = block.pieces.join('')
  const suffix = `${turn.id.slice('resp_'.length)}_${at}`
  if (block.kind === 'tool') {
    const { custom, id: call_id, name } = block
    if (custom) return { id: `ctc_${suffix}`, type: 'custom_tool_call', call_id, name, input: text }
    const call = { call_id, name, arguments: text }
    return { id: `fc_${suffix}`, type: 'function_call', status: 'completed', ...call }
  }
  if (block.kind === 'reasoning') {
    const { showsReasoning, tellsState } = turn.ask
    return {
      id: `rs_${suffix}`,
      type: 'reasoning',
      summary: showsReasoning ? [{ type: 'summary_text', text }] : [],
      ...(tellsState ? { encrypted_content: REASONING_STATES['openai-responses'] } : {}),
    }
  }
  const status = turn.finish === 'length' ? 'incomplete' : 'completed'
  const content = [outputText(text)]
  return { id: `msg_${suffix}`, type: 'message', status, role: 'assistant', content }
}

/** The item as it is when it opens. */
function emptied(item: Item): Item {
  if (item['type'] === 'reasoning') return { ...item, summary: [] }
  if (item['type'] === 'message') return { ...item, status: 'in_progress', content: [] }
  if (item['type'] === 'custom_tool_call') return { ...item, input: '' }
  return { ...item, status: 'in_progress', arguments: '' }
}

function outputText(text: string): Item {
  return { type: 'output_text', annotations: [], logprobs: [], text }
}

function responseObject(turn: Turn, { done }: { readonly done: boolean }): Item {
  const cut = turn.finish === 'length'
  const status = cut ? 'incomplete' : 'completed'
  const output = turn.blocks.map((block, at) => wholeItem({ turn, block, at }))
  return {
    id: turn.id,
    object: 'response',
    created_at: turn.createdAtSec,
    status: done ? status : 'in_progress',
    background: false,
    error: null,
    incomplete_details: done && cut ? { reason: 'max_output_tokens' } : null,
    instructions: null,
    max_output_tokens: turn.ask.maxTokens,
    metadata: {},
    model: turn.ask.model,
    output: done ? output : [],
    parallel_tool_calls: true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    service_tier: 'default',
    store: false,
    temperature: 1,
    text: { format: { type: 'text' } },
    tool_choice: 'auto',
    tools: [],
    top_p: 1,
    truncation: 'disabled',
    usage: done && turn.reported !== null ? responsesUsage(turn.reported) : null,
  }
}

/** `input_tokens` includes the cached ones. */
function responsesUsage(usage: TurnUsage): Item {
  const inputTokens =
    usage.inputTokens + usage.cacheReadTokens + usage.cacheWrite5mTokens + usage.cacheWrite1hTokens
  return {
    input_tokens: inputTokens,
    input_tokens_details: { cached_tokens: usage.cacheReadTokens },
    output_tokens: usage.outputTokens,
    output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
    total_tokens: inputTokens + usage.outputTokens,
  }
}
