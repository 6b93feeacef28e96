import type { ConversationEvent, OpenBlock } from '../../contracts/conversation.ts'
import type { StreamReader } from '../../contracts/dialect.ts'
import type { SseFrame } from '../../contracts/protocol.ts'
import { NO_USAGE } from '../../contracts/usage.ts'
import { isRecord } from '../../lib/is-record.ts'
import { readFrameJson } from '../openai-wire/frame-json.ts'
import { refusalOf } from '../openai-wire/refusals.ts'
import { asList, asMembers, type Members } from '../openai-wire/values.ts'
import { textOrNull } from '../read-answer.ts'
import { readAnswerImage, readStopReason } from './read-answer.ts'
import { readAnnotations } from './read-content.ts'
import { signatureOf } from './reasoning.ts'
import { readUsage } from './usage.ts'

const NOTHING: readonly ConversationEvent[] = []
/** What a failure inside a stream counts as when the provider does not say. */
const STREAM_ERROR_STATUS = 500
const BETWEEN_PARTS = '\n\n'

/** One block that runs. `said`: whether anything of it came, so that what only comes whole is not said twice. */
type Running = {
  readonly at: number
  readonly type: OpenBlock['type']
  said: boolean
  inClear: boolean
}

type Draft = {
  events: ConversationEvent[]
  opened: number
  calls: boolean
  refusal: boolean
  /** By the place of the item, and for texts by that of the part in it. */
  readonly running: Map<string, Running>
}

type EventReader = (draft: Draft, event: Members) => void

const READERS: ReadonlyMap<unknown, EventReader> = new Map<unknown, EventReader>([
  ['response.created', readCreated],
  ['response.output_item.added', readItemAdded],
  ['response.output_item.done', readItemDone],
  ['response.content_part.added', readPartAdded],
  ['response.content_part.done', (draft, event) => close(draft, partKey(event))],
  ['response.output_text.delta', (draft, event) => readPartDelta(draft, event, 'text')],
  ['response.refusal.delta', (draft, event) => readPartDelta(draft, event, 'refusal')],
  ['response.output_text.annotation.added', readAnnotation],
  ['response.reasoning_summary_part.added', readSummaryPart],
  ['response.reasoning_summary_text.delta', (draft, event) => readThinking(draft, event, false)],
  ['response.reasoning_text.delta', (draft, event) => readThinking(draft, event, true)],
  ['response.function_call_arguments.delta', readCallDelta],
  ['response.custom_tool_call_input.delta', readCallDelta],
  ['response.completed', readEnd],
  ['response.incomplete', readEnd],
  ['response.failed', readFailed],
  ['error', readError],
])

/** Hot: `read` runs for every frame. Events of the provider's own tools have no reader and go by. */
export function streamReader(): StreamReader {
  const draft: Draft = { events: [], opened: 0, calls: false, refusal: false, running: new Map() }
  return { read: (frame) => readFrame(draft, frame) }
}

function readFrame(draft: Draft, frame: SseFrame): readonly ConversationEvent[] {
  const event = readFrameJson(frame)
  const read = event === null ? undefined : READERS.get(event['type'])
  if (event === null || read === undefined) return NOTHING
  draft.events = []
  read(draft, event)
  return draft.events
}

function itemKey(event: Members): string {
  return `${Number(event['output_index'] ?? 0)}`
}

function partKey(event: Members): string {
  return `${Number(event['output_index'] ?? 0)}.${Number(event['content_index'] ?? 0)}`
}

function readCreated(draft: Draft, event: Members): void {
  const response = asMembers(event['response'])
  draft.events.push({
    type: 'start',
    id: textOrNull(response['id']) ?? '',
    model: textOrNull(response['model']) ?? '',
    usage: NO_USAGE,
  })
}

function open(draft: Draft, key: string, block: OpenBlock): Running {
  const at = draft.opened++
  const running: Running = { at, type: block.type, said: false, inClear: false }
  if (block.type === 'tool_call') draft.calls = true
  else if (block.type === 'refusal') draft.refusal = true
  draft.running.set(key, running)
  draft.events.push({ type: 'open', at, block })
  return running
}

function close(draft: Draft, key: string): void {
  const running = draft.running.get(key)
  if (running === undefined) return
  draft.running.delete(key)
  draft.events.push({ type: 'close', at: running.at })
}

function say(draft: Draft, running: Running, text: string): void {
  if (text === '') return
  running.said = true
  draft.events.push({ type: 'delta', at: running.at, text })
}

function readItemAdded(draft: Draft, event: Members): void {
  const item = asMembers(event['item'])
  if (item['type'] === 'reasoning') open(draft, itemKey(event), THINKING)
  else openCall(draft, itemKey(event), item)
}

const THINKING: OpenBlock = { type: 'thinking', redacted: false }

function openCall(draft: Draft, key: string, item: Members): Running | null {
  const custom = item['type'] === 'custom_tool_call'
  const name = textOrNull(item['name'])
  if (name === null || (!custom && item['type'] !== 'function_call')) return null
  const id = textOrNull(item['call_id']) ?? textOrNull(item['id']) ?? ''
  return open(draft, key, { type: 'tool_call', id, name, custom, signature: null })
}

function readPartAdded(draft: Draft, event: Members): void {
  const { type } = asMembers(event['part'])
  if (type === 'output_text') open(draft, partKey(event), { type: 'text' })
  else if (type === 'refusal') open(draft, partKey(event), { type: 'refusal' })
}

/** Some servers send deltas of parts that they never added. */
function readPartDelta(draft: Draft, event: Members, type: 'text' | 'refusal'): void {
  const key = partKey(event)
  say(draft, draft.running.get(key) ?? open(draft, key, { type }), textOrNull(event['delta']) ?? '')
}

function readAnnotation(draft: Draft, event: Members): void {
  const running = draft.running.get(partKey(event))
  if (running === undefined) return
  for (const citation of readAnnotations([event['annotation']])) {
    draft.events.push({ type: 'citation', at: running.at, citation })
  }
}

function readSummaryPart(draft: Draft, event: Members): void {
  const running = draft.running.get(itemKey(event))
  if (running?.said === true) say(draft, running, BETWEEN_PARTS)
}

function readThinking(draft: Draft, event: Members, inClear: boolean): void {
  const key = itemKey(event)
  const running = draft.running.get(key) ?? open(draft, key, THINKING)
  if (inClear) running.inClear = true
  say(draft, running, textOrNull(event['delta']) ?? '')
}

function readCallDelta(draft: Draft, event: Members): void {
  const running = draft.running.get(itemKey(event))
  if (running !== undefined) say(draft, running, textOrNull(event['delta']) ?? '')
}

/** The item as a whole: its state, and what did not come in deltas. */
function readItemDone(draft: Draft, event: Members): void {
  const item = asMembers(event['item'])
  const key = itemKey(event)
  if (item['type'] === 'message') return finishMessage(draft, key, item)
  if (item['type'] === 'reasoning') return finishReasoning(draft, key, item)
  for (const { source } of readAnswerImage(item)) {
    open(draft, key, { type: 'image', source })
    return close(draft, key)
  }
  const running = draft.running.get(key) ?? openCall(draft, key, item)
  if (running === null) return
  if (!running.said) say(draft, running, textOrNull(item['arguments'] ?? item['input']) ?? '')
  close(draft, key)
}

function finishMessage(draft: Draft, key: string, item: Members): void {
  for (const index of asList(item['content']).keys()) close(draft, `${key}.${index}`)
}

function finishReasoning(draft: Draft, key: string, item: Members): void {
  const running = draft.running.get(key) ?? open(draft, key, THINKING)
  const signature = signatureOf(item, running.inClear)
  if (signature !== null) draft.events.push({ type: 'signature', at: running.at, signature })
  close(draft, key)
}

function readEnd(draft: Draft, event: Members): void {
  const response = asMembers(event['response'])
  for (const key of draft.running.keys()) close(draft, key)
  draft.events.push({ type: 'stop', stop: readStopReason(response, draft), stopSequence: null })
  draft.events.push({ type: 'usage', usage: readUsage(response) })
}

function readFailed(draft: Draft, event: Members): void {
  const { error } = asMembers(event['response'])
  const refusal = refusalOf(STREAM_ERROR_STATUS, asMembers(error))
  draft.events.push({ type: 'error', refusal })
}

/** Flat as the reference shows it, or nested as the provider sends it. */
function readError(draft: Draft, event: Members): void {
  const { error } = event
  const refusal = refusalOf(STREAM_ERROR_STATUS, isRecord(error) ? error : event)
  draft.events.push({ type: 'error', refusal })
}
