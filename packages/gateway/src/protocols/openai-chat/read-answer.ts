import type { Block, Citation, ConversationAnswer } from '../../contracts/conversation.ts'
import { isRecord } from '../../lib/is-record.ts'
import { readUrl } from '../openai-wire/media.ts'
import { textBlock } from '../openai-wire/parts.ts'
import { asList, asMembers, type Members } from '../openai-wire/values.ts'
import { parseAnswer, textOrNull } from '../read-answer.ts'
import { readCall } from './read-calls.ts'
import { readAnnotations } from './read-parts.ts'
import { readThinking } from './reasoning.ts'
import { readStopReason } from './stop-reasons.ts'
import { readUsage } from './usage.ts'

/** The first choice: a translated request asks for one. Null: no answer of a chat. */
export function readAnswer(body: Buffer): ConversationAnswer | null {
  const answer = parseAnswer(body)
  const choice = asList(answer?.['choices'])[0]
  if (answer === null || !isRecord(choice) || !isRecord(choice['message'])) return null
  const blocks = readBlocks(choice['message'])
  const reason = textOrNull(choice['finish_reason']) ?? 'stop'
  return {
    id: textOrNull(answer['id']) ?? '',
    model: textOrNull(answer['model']) ?? '',
    blocks,
    stop: readStopReason(reason, {
      calls: blocks.some((block) => block.type === 'tool_call'),
      refusal: blocks.some((block) => block.type === 'refusal'),
    }),
    stopSequence: null,
    usage: readUsage(answer['usage']),
    serviceTier: textOrNull(answer['service_tier']),
  }
}

function readBlocks(message: Members): readonly Block[] {
  const blocks: Block[] = readThinking(message)
  const { thinking, text } = readAnswerContent(message['content'])
  if (thinking !== '' && blocks.length === 0) blocks.push(shownThinking(thinking))
  if (text !== '') blocks.push(citedText(text, readAnnotations(message['annotations'])))
  const refusal = textOrNull(message['refusal'])
  if (refusal !== null && refusal !== '') blocks.push({ type: 'refusal', text: refusal })
  for (const image of asList(message['images'])) blocks.push(...readImage(image))
  const legacy = isRecord(message['function_call']) ? [{ function: message['function_call'] }] : []
  for (const [i, call] of [...asList(message['tool_calls']), ...legacy].entries()) {
    const read = readCall(asMembers(call), `call_${i}`)
    if (read !== null) blocks.push(read)
  }
  return blocks
}

/** Text, or Mistral's list of chunks, in which its reasoning stands too. From general knowledge, not read live. */
export function readAnswerContent(content: unknown): { thinking: string; text: string } {
  if (typeof content === 'string') return { thinking: '', text: content }
  const said = { thinking: '', text: '' }
  for (const chunk of asList(content)) {
    const { type, text, thinking } = asMembers(chunk)
    if (type === 'text' && typeof text === 'string') said.text += text
    if (type !== 'thinking') continue
    for (const piece of asList(thinking))
      said.thinking += textOrNull(asMembers(piece)['text']) ?? ''
  }
  return said
}

function shownThinking(text: string): Block {
  return { type: 'thinking', text, signature: null, redacted: false }
}

function citedText(text: string, citations: readonly Citation[]): Block {
  return { ...textBlock(text), citations }
}

/** Pictures that some vendors' models answer with, in the shape of a request's. */
export function readImage(value: unknown): readonly Extract<Block, { type: 'image' }>[] {
  const url = textOrNull(asMembers(asMembers(value)['image_url'])['url'])
  const source = url === null ? null : readUrl(url)
  return source === null ? [] : [{ type: 'image', source, detail: null, cache: null }]
}
