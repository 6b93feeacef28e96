import type { ConversationEvent, OpenBlock } from '../../contracts/conversation.ts'
import type { StreamReader } from '../../contracts/dialect.ts'
import type { SseFrame } from '../../contracts/protocol.ts'
import { isRecord } from '../../lib/is-record.ts'
import { NO_USAGE } from '../../contracts/usage.ts'
import { readFrameJson } from '../openai-wire/frame-json.ts'
import { refusalOf } from '../openai-wire/refusals.ts'
import { asList, asMembers, isStated, type Members } from '../openai-wire/values.ts'
import { textOrNull } from '../read-answer.ts'
import { readAnswerContent, readImage } from './read-answer.ts'
import { argumentsText, readCallSignature } from './read-calls.ts'
import { readAnnotations } from './read-parts.ts'
import { detailText, readPlain, signatureOfDetails, signatureOfWhole } from './reasoning.ts'
import { readStopReason } from './stop-reasons.ts'
import { readUsage } from './usage.ts'

const NOTHING: readonly ConversationEvent[] = []
/** What a failure inside a stream counts as when the vendor does not say. */
const STREAM_ERROR_STATUS = 500
/** Reasoning that stood in the content itself has no member to go back to. */
const IN_CONTENT = ''

type Running = { readonly type: 'text' | 'refusal' | 'thinking'; readonly at: number }

/** One call of a tool. It is opened when its name is known; arguments that come earlier wait. */
type Call = { at: number | null; id: string; name: string; custom: boolean; waiting: string }

/** What a chat stream has said so far. */
class ChatReader {
  private events: ConversationEvent[] = []
  private started = false
  private stopped = false
  private refused = false
  private opened = 0
  /** The text, refusal or thinking at the end of the answer; calls stay open beside it. */
  private running: Running | null = null
  /** Where the running thinking stood, and the vendor's details of it without their fragments of text. */
  private member = IN_CONTENT
  private details: Map<unknown, Record<string, unknown>> = new Map()
  /** The text came under a plain member alone; details that follow repeat it. */
  private sawPlain = false
  private repeated = false
  private readonly calls: Call[] = []
  private readonly callByIndex: Map<unknown, Call> = new Map()

  read(frame: SseFrame): readonly ConversationEvent[] {
    const chunk = readFrameJson(frame)
    if (chunk === null) return NOTHING
    this.events = []
    if (isRecord(chunk['error'])) {
      this.events.push({ type: 'error', refusal: refusalOf(STREAM_ERROR_STATUS, chunk['error']) })
      return this.events
    }
    const choice = firstChoice(chunk['choices'])
    const { usage } = chunk
    // Azure opens with a chunk of filter results, which has neither id nor model.
    if (!this.started && (choice !== null || isRecord(usage))) this.start(chunk)
    if (choice !== null && !this.stopped) this.readChoice(choice)
    if (isRecord(usage)) this.events.push({ type: 'usage', usage: readUsage(usage) })
    return this.events
  }

  private start(chunk: Members): void {
    this.started = true
    this.events.push({
      type: 'start',
      id: textOrNull(chunk['id']) ?? '',
      model: textOrNull(chunk['model']) ?? '',
      usage: NO_USAGE,
    })
  }

  private readChoice(choice: Members): void {
    const delta = asMembers(choice['delta'])
    this.readReasoning(delta)
    const { content } = delta
    if (typeof content === 'string') this.say('text', content)
    else if (Array.isArray(content)) this.readChunks(content)
    if (typeof delta['refusal'] === 'string') this.say('refusal', delta['refusal'])
    if (delta['annotations'] !== undefined) this.cite(delta['annotations'])
    if (delta['images'] !== undefined) this.show(delta['images'])
    if (delta['tool_calls'] !== undefined) {
      for (const call of asList(delta['tool_calls'])) this.readCall(asMembers(call))
    }
    if (isRecord(delta['function_call'])) this.readCall({ function: delta['function_call'] })
    const reason = choice['finish_reason']
    if (typeof reason === 'string' && reason !== '') this.stop(reason)
  }

  private readChunks(content: readonly unknown[]): void {
    const { thinking, text } = readAnswerContent(content)
    if (thinking !== '') this.think(thinking, IN_CONTENT)
    this.say('text', text)
  }

  private readReasoning(delta: Members): void {
    const plain = readPlain(delta)
    const details = delta['reasoning_details']
    if (details === undefined) {
      if (plain === null) return
      this.sawPlain = true
      this.think(plain.text, plain.member)
      return
    }
    this.repeated = this.sawPlain && plain === null
    let told = ''
    for (const detail of asList(details)) if (isRecord(detail)) told += detailText(detail)
    const text = told === '' || this.repeated ? (plain?.text ?? '') : told
    for (const detail of asList(details)) if (isRecord(detail)) this.keep(detail, text !== '')
    if (text !== '') this.think(text, plain?.member ?? IN_CONTENT)
  }

  /** Merges the fragments of one detail. The texts are counted: they are cut apart again on the way back. */
  private keep(detail: Members, hasText: boolean): void {
    if (this.running?.type !== 'thinking') {
      this.open('thinking', { type: 'thinking', redacted: !hasText && isOpaque(detail) })
    }
    const key = detail['index'] ?? detail['type']
    const known = this.details.get(key) ?? { text: '' }
    const before = textOrNull(known['text']) ?? ''
    for (const name of Object.keys(detail)) {
      if (isStated(detail[name])) known[name] = detail[name]
    }
    delete known['summary']
    known['text'] = before + detailText(detail)
    this.details.set(key, known)
  }

  private think(text: string, member: string): void {
    if (this.running?.type !== 'thinking')
      this.open('thinking', { type: 'thinking', redacted: false })
    this.member = member
    this.say('thinking', text)
  }

  private say(type: Running['type'], text: string): void {
    if (text === '') return
    if (this.running?.type !== type) this.open(type, type === 'thinking' ? THINKING : { type })
    if (type === 'refusal') this.refused = true
    this.events.push({ type: 'delta', at: this.runningAt(), text })
  }

  /** Where the running block stands. */
  private runningAt(): number {
    return this.running?.at ?? 0
  }

  private open(type: Running['type'], block: OpenBlock): void {
    this.closeRunning()
    const at = this.opened++
    this.running = { type, at }
    this.events.push({ type: 'open', at, block })
  }

  private closeRunning(): void {
    const { running } = this
    if (running === null) return
    if (running.type === 'thinking') this.sign(running.at)
    this.events.push({ type: 'close', at: running.at })
    this.running = null
  }

  private sign(at: number): void {
    const details = [...this.details.values()]
    if (details.length > 0) {
      const signature = this.repeated ? signatureOfWhole(details) : signatureOfDetails(details)
      this.events.push({ type: 'signature', at, signature })
    } else if (this.member !== IN_CONTENT) {
      const signature = { value: this.member, origin: null }
      this.events.push({ type: 'signature', at, signature })
    }
    this.details = new Map()
    this.member = IN_CONTENT
  }

  private cite(annotations: unknown): void {
    for (const citation of readAnnotations(annotations)) {
      if (this.running?.type !== 'text') this.open('text', { type: 'text' })
      this.events.push({ type: 'citation', at: this.runningAt(), citation })
    }
  }

  private show(images: unknown): void {
    for (const image of asList(images)) {
      for (const { source } of readImage(image)) {
        this.closeRunning()
        const at = this.opened++
        this.events.push({ type: 'open', at, block: { type: 'image', source } })
        this.events.push({ type: 'close', at })
      }
    }
  }

  private readCall(delta: Members): void {
    const custom = delta['type'] === 'custom' || isRecord(delta['custom'])
    const body = asMembers(custom ? delta['custom'] : delta['function'])
    const call = this.callFor(delta, { name: textOrNull(body['name']) ?? '', custom })
    const text = argumentsText(custom ? body['input'] : body['arguments'])
    if (call.at === null) {
      call.waiting += text
      if (call.name !== '') this.openCall(call, delta)
    } else if (text !== '') this.events.push({ type: 'delta', at: call.at, text })
  }

  /**
   * Which call a fragment belongs to: by index; where vendors leave that out, or give every call the same one, a new id
   * with a name begins a new call. A repeated name changes nothing.
   */
  private callFor(delta: Members, said: { name: string; custom: boolean }): Call {
    const id = textOrNull(delta['id']) ?? ''
    const { index } = delta
    const known =
      index === undefined || index === null ? this.calls.at(-1) : this.callByIndex.get(index)
    const isNew = known === undefined || (id !== '' && said.name !== '' && startsAnew(known, id))
    if (!isNew) {
      if (known.name === '') known.name = said.name
      if (known.id === '') known.id = id
      return known
    }
    const call: Call = { at: null, id, name: said.name, custom: said.custom, waiting: '' }
    this.calls.push(call)
    this.callByIndex.set(index, call)
    return call
  }

  private openCall(call: Call, delta: Members): void {
    this.closeRunning()
    const at = this.opened++
    call.at = at
    const id = call.id === '' ? `call_${at}` : call.id
    const { name, custom, waiting } = call
    const signature = readCallSignature(delta)
    this.events.push({
      type: 'open',
      at,
      block: { type: 'tool_call', id, name, custom, signature },
    })
    if (waiting !== '') this.events.push({ type: 'delta', at, text: waiting })
    call.waiting = ''
  }

  private stop(reason: string): void {
    this.stopped = true
    this.closeRunning()
    const opened = this.calls.filter(({ at }) => at !== null)
    for (const { at } of opened) if (at !== null) this.events.push({ type: 'close', at })
    const held = { calls: opened.length > 0, refusal: this.refused }
    this.events.push({ type: 'stop', stop: readStopReason(reason, held), stopSequence: null })
  }
}

const THINKING: OpenBlock = { type: 'thinking', redacted: false }

/** Hot: `read` runs for every frame. */
export function streamReader(): StreamReader {
  return new ChatReader()
}

function firstChoice(choices: unknown): Members | null {
  for (const choice of asList(choices)) {
    if (isRecord(choice) && (choice['index'] ?? 0) === 0) return choice
  }
  return null
}

function startsAnew(known: Call, id: string): boolean {
  return known.id !== '' && known.id !== id
}

/** A detail that only holds what its provider can read. */
function isOpaque(detail: Members): boolean {
  return typeof detail['data'] === 'string'
}
