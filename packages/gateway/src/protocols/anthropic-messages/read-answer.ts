import type { Block, ConversationAnswer } from '../../contracts/conversation.ts'
import { isRecord } from '../../lib/is-record.ts'
import { parseAnswer, textOrNull } from '../read-answer.ts'
import { inputText } from '../translation/call-input.ts'
import { readCitations } from './citations.ts'
import type { Fields } from './fields.ts'
import { readStopReason } from './stop-reasons.ts'
import { readUsage } from './usage.ts'
import { readTier } from './usage-json.ts'

/** Null when the body is no message. Blocks of the vendor's own tools are left out: nobody asked for them. */
export function readAnswer(body: Buffer): ConversationAnswer | null {
  const answer = parseAnswer(body)
  if (answer === null || answer['type'] === 'error') return null
  const { content, usage } = answer
  if (!Array.isArray(content)) return null
  const blocks: Block[] = []
  for (const block of content) {
    const read = isRecord(block) ? readBlock(block) : null
    if (read !== null) blocks.push(read)
  }
  const refusal = refusalText(answer['stop_details'])
  if (refusal !== null) blocks.push({ type: 'refusal', text: refusal })
  return {
    id: textOrNull(answer['id']) ?? '',
    model: textOrNull(answer['model']) ?? '',
    blocks,
    stop: readStopReason(answer['stop_reason']),
    stopSequence: textOrNull(answer['stop_sequence']),
    usage: readUsage(usage),
    serviceTier: isRecord(usage) ? readTier(usage['service_tier']) : null,
  }
}

/** Why the model refused, in words for people. */
export function refusalText(details: unknown): string | null {
  if (!isRecord(details)) return null
  const text = textOrNull(details['explanation'])
  return text === '' ? null : text
}

function readBlock(block: Fields): Block | null {
  switch (block['type']) {
    case 'text':
      return {
        type: 'text',
        text: textOrNull(block['text']) ?? '',
        citations: readCitations(block['citations']),
        cache: null,
      }
    case 'thinking':
      return {
        type: 'thinking',
        text: textOrNull(block['thinking']) ?? '',
        signature: signatureOf(block['signature']),
        redacted: false,
      }
    case 'redacted_thinking':
      return { type: 'thinking', text: '', signature: signatureOf(block['data']), redacted: true }
    case 'tool_use':
      return {
        type: 'tool_call',
        id: textOrNull(block['id']) ?? '',
        name: textOrNull(block['name']) ?? '',
        input: inputText(block['input']),
        custom: false,
        signature: null,
        cache: null,
      }
    default:
      return null
  }
}

function signatureOf(value: unknown): { value: string; origin: null } | null {
  return typeof value === 'string' && value !== '' ? { value, origin: null } : null
}
