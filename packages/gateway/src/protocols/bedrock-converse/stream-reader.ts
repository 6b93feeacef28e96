import type { ConversationEvent, OpenBlock } from '../../contracts/conversation.ts'
import type { StreamReader } from '../../contracts/dialect.ts'
import type { SseFrame } from '../../contracts/protocol.ts'
import { NO_USAGE } from '../../contracts/usage.ts'
import { parseAwsEvent } from '../../lib/aws-event-stream.ts'
import { isRecord } from '../../lib/is-record.ts'
import { parseJson } from '../kept-frames.ts'
import { textOrNull } from '../read-answer.ts'
import { readCitation } from './read-answer.ts'
import { refusalOfException } from './refusals.ts'
import { readStopReason } from './stop-reasons.ts'
import { readUsage } from './usage.ts'

type Fields = Readonly<Record<string, unknown>>

const NOTHING: readonly ConversationEvent[] = []

type OpenState = { readonly at: number; readonly isCall: boolean; hasInput: boolean }
type Draft = { readonly blocks: Map<unknown, OpenState>; opened: number }
type EventReader = (draft: Draft, data: Fields) => readonly ConversationEvent[]

const READERS: ReadonlyMap<string, EventReader> = new Map<string, EventReader>([
  ['messageStart', () => [{ type: 'start', id: '', model: '', usage: NO_USAGE }]],
  ['contentBlockStart', readBlockStart],
  ['contentBlockDelta', readDelta],
  ['contentBlockStop', readBlockStop],
  ['messageStop', readStop],
  ['metadata', (_draft, data) => [{ type: 'usage', usage: readUsage(data['usage']) }]],
])

/** Hot: `read` runs for every frame. */
export function streamReader(): StreamReader {
  const draft: Draft = { blocks: new Map(), opened: 0 }
  return { read: (frame) => readFrame(draft, frame) }
}

function readFrame(draft: Draft, { bytes, start, end }: SseFrame): readonly ConversationEvent[] {
  const event = parseAwsEvent(bytes, start, end)
  if (event === null) return NOTHING
  if (event.kind === 'exception') {
    return [{ type: 'error', refusal: refusalOfException(event.name, event.data) }]
  }
  const read = READERS.get(event.name)
  const data = read === undefined ? null : parseJson(event.data)
  return read === undefined || !isRecord(data) ? NOTHING : read(draft, data)
}

/** Only calls are announced; of all other blocks the first delta says what they are. */
function readBlockStart(draft: Draft, data: Fields): readonly ConversationEvent[] {
  const start = isRecord(data['start']) ? data['start'] : {}
  if (!isRecord(start['toolUse'])) return NOTHING
  const { toolUseId, name } = start['toolUse']
  const block = {
    type: 'tool_call',
    id: textOrNull(toolUseId) ?? '',
    name: textOrNull(name) ?? '',
    custom: false,
    signature: null,
  } as const
  return [openBlock(draft, data['contentBlockIndex'], block)]
}

function openBlock(draft: Draft, index: unknown, block: OpenBlock): ConversationEvent {
  const at = draft.opened++
  draft.blocks.set(index, { at, isCall: block.type === 'tool_call', hasInput: false })
  return { type: 'open', at, block }
}

function readDelta(draft: Draft, data: Fields): readonly ConversationEvent[] {
  const { contentBlockIndex: index, delta } = data
  if (!isRecord(delta)) return NOTHING
  const known = draft.blocks.get(index)
  if (known !== undefined) return deltaEvents(known, delta)
  const block = blockOfDelta(delta)
  if (block === null) return NOTHING
  const open = openBlock(draft, index, block)
  const state = draft.blocks.get(index)
  return state === undefined ? [open] : [open, ...deltaEvents(state, delta)]
}

function blockOfDelta({ text, citation, reasoningContent }: Fields): OpenBlock | null {
  if (typeof text === 'string' || isRecord(citation)) return { type: 'text' }
  if (!isRecord(reasoningContent)) return null
  return { type: 'thinking', redacted: typeof reasoningContent['redactedContent'] === 'string' }
}

function deltaEvents(state: OpenState, delta: Fields): readonly ConversationEvent[] {
  const { at } = state
  const { text, toolUse, reasoningContent, citation } = delta
  if (typeof text === 'string') return textDelta(at, text)
  if (isRecord(toolUse)) {
    const input = textOrNull(toolUse['input']) ?? ''
    if (input !== '') state.hasInput = true
    return textDelta(at, input)
  }
  if (isRecord(citation)) return [{ type: 'citation', at, citation: readCitation(citation) }]
  if (!isRecord(reasoningContent)) return NOTHING
  const value =
    textOrNull(reasoningContent['signature']) ?? textOrNull(reasoningContent['redactedContent'])
  if (value !== null && value !== '') {
    return [{ type: 'signature', at, signature: { value, origin: null } }]
  }
  return textDelta(at, textOrNull(reasoningContent['text']) ?? '')
}

function textDelta(at: number, text: string): readonly ConversationEvent[] {
  return text === '' ? NOTHING : [{ type: 'delta', at, text }]
}

/** A call without arguments sends none; others want an object. */
function readBlockStop(draft: Draft, data: Fields): readonly ConversationEvent[] {
  const index = data['contentBlockIndex']
  const state = draft.blocks.get(index)
  if (state === undefined) return NOTHING
  draft.blocks.delete(index)
  const { at, isCall, hasInput } = state
  const close: ConversationEvent = { type: 'close', at }
  return isCall && !hasInput ? [{ type: 'delta', at, text: '{}' }, close] : [close]
}

function readStop(_draft: Draft, data: Fields): readonly ConversationEvent[] {
  return [{ type: 'stop', stop: readStopReason(data['stopReason']), stopSequence: null }]
}
