import type { ConversationEvent, OpenBlock } from '../../contracts/conversation.ts'
import type { StreamReader } from '../../contracts/dialect.ts'
import type { SseFrame } from '../../contracts/protocol.ts'
import { isRecord } from '../../lib/is-record.ts'
import { parseSseFrame } from '../../lib/sse-frames.ts'
import { parseJson } from '../kept-frames.ts'
import { textOrNull } from '../read-answer.ts'
import { inputText } from '../translation/call-input.ts'
import { readCitation } from './citations.ts'
import type { Fields } from './fields.ts'
import { refusalText } from './read-answer.ts'
import { refusalOfError } from './refusals.ts'
import { readStopReason } from './stop-reasons.ts'
import { laterUsage, readUsage } from './usage.ts'

const NOTHING: readonly ConversationEvent[] = []

/** Of one block of the provider: its number among those that are passed on, and whether arguments came. */
type OpenState = { readonly at: number; readonly isCall: boolean; hasInput: boolean }

type Draft = {
  /** As the provider wrote it, the latest statement of each member. */
  usage: Fields
  blocks: Map<unknown, OpenState>
  opened: number
}

type EventReader = (draft: Draft, data: Fields) => readonly ConversationEvent[]

/** `ping` and `message_stop` say nothing more; blocks of the vendor's own tools have no reader and go by. */
const READERS: ReadonlyMap<unknown, EventReader> = new Map<unknown, EventReader>([
  ['message_start', readStart],
  ['content_block_start', readBlockStart],
  ['content_block_delta', readDelta],
  ['content_block_stop', readBlockStop],
  ['message_delta', readMessageDelta],
  ['error', (_draft, data) => [{ type: 'error', refusal: refusalOfError(null, data) }]],
])

/** Hot: `read` runs for every frame. */
export function streamReader(): StreamReader {
  const draft: Draft = { usage: {}, blocks: new Map(), opened: 0 }
  return { read: (frame) => readFrame(draft, frame) }
}

function readFrame(draft: Draft, { bytes, start, end }: SseFrame): readonly ConversationEvent[] {
  const event = parseSseFrame(bytes, start, end)
  const data = event === null ? null : parseJson(event.data)
  if (!isRecord(data)) return NOTHING
  return READERS.get(data['type'])?.(draft, data) ?? NOTHING
}

/** The output count here is a placeholder. */
function readStart(draft: Draft, data: Fields): readonly ConversationEvent[] {
  const message = isRecord(data['message']) ? data['message'] : {}
  if (isRecord(message['usage'])) draft.usage = message['usage']
  return [
    {
      type: 'start',
      id: textOrNull(message['id']) ?? '',
      model: textOrNull(message['model']) ?? '',
      usage: { ...readUsage(draft.usage), outputTokens: null },
    },
  ]
}

function readBlockStart(draft: Draft, data: Fields): readonly ConversationEvent[] {
  const block = isRecord(data['content_block']) ? data['content_block'] : {}
  const open = openBlock(block)
  if (open === null) return NOTHING
  const at = draft.opened++
  const isCall = open.type === 'tool_call'
  const first = firstText(block, open)
  draft.blocks.set(data['index'], { at, isCall, hasInput: first !== '' })
  const events: ConversationEvent[] = [{ type: 'open', at, block: open }]
  if (first !== '') events.push({ type: 'delta', at, text: first })
  const signature = textOrNull(block['signature']) ?? textOrNull(block['data']) ?? ''
  if (signature !== '') {
    events.push({ type: 'signature', at, signature: { value: signature, origin: null } })
  }
  return events
}

function openBlock(block: Fields): OpenBlock | null {
  switch (block['type']) {
    case 'text':
      return { type: 'text' }
    case 'thinking':
      return { type: 'thinking', redacted: false }
    case 'redacted_thinking':
      return { type: 'thinking', redacted: true }
    case 'tool_use':
      return {
        type: 'tool_call',
        id: textOrNull(block['id']) ?? '',
        name: textOrNull(block['name']) ?? '',
        custom: false,
        signature: null,
      }
    default:
      return null
  }
}

/** Mostly `''`; some vendors put the whole block here. An empty input is a placeholder. */
function firstText(block: Fields, { type }: OpenBlock): string {
  if (type === 'text') return textOrNull(block['text']) ?? ''
  if (type === 'thinking') return textOrNull(block['thinking']) ?? ''
  const { input } = block
  return isRecord(input) && Object.keys(input).length > 0 ? inputText(input) : ''
}

function readDelta(draft: Draft, data: Fields): readonly ConversationEvent[] {
  const state = draft.blocks.get(data['index'])
  const { delta } = data
  if (state === undefined || !isRecord(delta)) return NOTHING
  const { at } = state
  switch (delta['type']) {
    case 'text_delta':
      return textDelta(at, delta['text'])
    case 'thinking_delta':
      return textDelta(at, delta['thinking'])
    case 'input_json_delta':
      if (delta['partial_json'] !== '') state.hasInput = true
      return textDelta(at, delta['partial_json'])
    case 'signature_delta': {
      const value = textOrNull(delta['signature']) ?? ''
      return value === ''
        ? NOTHING
        : [{ type: 'signature', at, signature: { value, origin: null } }]
    }
    case 'citations_delta': {
      const citation = readCitation(delta['citation'])
      return citation === null ? NOTHING : [{ type: 'citation', at, citation }]
    }
    default:
      return NOTHING
  }
}

function textDelta(at: number, text: unknown): readonly ConversationEvent[] {
  return typeof text === 'string' && text !== '' ? [{ type: 'delta', at, text }] : NOTHING
}

/** A call without arguments sends none; others want an object. */
function readBlockStop(draft: Draft, data: Fields): readonly ConversationEvent[] {
  const state = draft.blocks.get(data['index'])
  if (state === undefined) return NOTHING
  draft.blocks.delete(data['index'])
  const { at, isCall, hasInput } = state
  if (!isCall || hasInput) return [{ type: 'close', at }]
  return [
    { type: 'delta', at, text: '{}' },
    { type: 'close', at },
  ]
}

function readMessageDelta(draft: Draft, data: Fields): readonly ConversationEvent[] {
  const events: ConversationEvent[] = []
  const delta = isRecord(data['delta']) ? data['delta'] : {}
  const refusal = refusalText(delta['stop_details'])
  if (refusal !== null) {
    const at = draft.opened++
    events.push({ type: 'open', at, block: { type: 'refusal' } })
    events.push({ type: 'delta', at, text: refusal }, { type: 'close', at })
  }
  if (typeof delta['stop_reason'] === 'string') {
    const stopSequence = textOrNull(delta['stop_sequence'])
    events.push({ type: 'stop', stop: readStopReason(delta['stop_reason']), stopSequence })
  }
  if (isRecord(data['usage'])) {
    draft.usage = laterUsage(draft.usage, data['usage'])
    events.push({ type: 'usage', usage: readUsage(draft.usage) })
  }
  return events
}
