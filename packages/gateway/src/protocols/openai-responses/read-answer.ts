import type {
  Block,
  ConversationAnswer,
  ImageBlock,
  StopReason,
} from '../../contracts/conversation.ts'
import { isRecord } from '../../lib/is-record.ts'
import { textBlock } from '../openai-wire/parts.ts'
import { asList, asMembers, type Members } from '../openai-wire/values.ts'
import { parseAnswer, textOrNull } from '../read-answer.ts'
import { readAnnotations } from './read-content.ts'
import { readReasoning } from './reasoning.ts'
import { readUsage } from './usage.ts'

/** Null: no response, or one that failed. */
export function readAnswer(body: Buffer): ConversationAnswer | null {
  const answer = parseAnswer(body)
  if (answer === null || !Array.isArray(answer['output']) || isRecord(answer['error'])) return null
  const blocks = answer['output'].flatMap((item) => (isRecord(item) ? readItem(item) : []))
  return {
    id: textOrNull(answer['id']) ?? '',
    model: textOrNull(answer['model']) ?? '',
    blocks,
    stop: readStopReason(answer, {
      calls: blocks.some((block) => block.type === 'tool_call'),
      refusal: blocks.some((block) => block.type === 'refusal'),
    }),
    stopSequence: null,
    usage: readUsage(answer),
    serviceTier: textOrNull(answer['service_tier']),
  }
}

/** Runs of the provider's own tools have no twin elsewhere; what came of them stands in the text. */
function readItem(item: Members): readonly Block[] {
  switch (item['type']) {
    case 'message':
      return asList(item['content']).flatMap((part) => readPart(asMembers(part)))
    case 'reasoning': {
      const block = readReasoning(item)
      return block === null ? [] : [block]
    }
    case 'function_call':
    case 'custom_tool_call':
      return readCall(item)
    case 'image_generation_call':
      return readAnswerImage(item)
    default:
      return []
  }
}

function readPart(part: Members): readonly Block[] {
  const text = textOrNull(part['text'])
  if (part['type'] === 'output_text' && text !== null && text !== '') {
    return [{ ...textBlock(text), citations: readAnnotations(part['annotations']) }]
  }
  const refusal = textOrNull(part['refusal'])
  return refusal === null || refusal === '' ? [] : [{ type: 'refusal', text: refusal }]
}

function readCall(item: Members): readonly Block[] {
  const name = textOrNull(item['name'])
  if (name === null) return []
  const custom = item['type'] === 'custom_tool_call'
  const input = textOrNull(custom ? item['input'] : item['arguments']) ?? ''
  const id = textOrNull(item['call_id']) ?? textOrNull(item['id']) ?? ''
  return [{ type: 'tool_call', id, name, input, custom, signature: null, cache: null }]
}

export function readAnswerImage(item: Members): readonly ImageBlock[] {
  const data = item['type'] === 'image_generation_call' ? textOrNull(item['result']) : null
  if (data === null) return []
  const mediaType = `image/${textOrNull(item['output_format']) ?? 'png'}`
  return [{ type: 'image', source: { kind: 'base64', mediaType, data }, detail: null, cache: null }]
}

/** @see https://platform.openai.com/docs/api-reference/responses/object (as in the official client 7.55, read 2026-11-21) */
export function readStopReason(
  response: Members,
  held: { readonly calls: boolean; readonly refusal: boolean },
): StopReason {
  if (response['status'] === 'incomplete') {
    const { reason } = asMembers(response['incomplete_details'])
    if (reason === 'max_output_tokens') return 'length'
    return reason === 'content_filter' ? 'content_filter' : 'other'
  }
  if (held.calls) return 'tool_use'
  return held.refusal ? 'refusal' : 'end'
}
