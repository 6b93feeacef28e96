import type { Block, Citation, ConversationAnswer } from '../../contracts/conversation.ts'
import { isRecord } from '../../lib/is-record.ts'
import { parseAnswer, textOrNull } from '../read-answer.ts'
import { inputText } from '../translation/call-input.ts'
import { messageContent } from './converse.ts'
import { readStopReason } from './stop-reasons.ts'
import { readUsage } from './usage.ts'

type Fields = Readonly<Record<string, unknown>>

/** Null when the body is no answer. It names neither itself nor the model. */
export function readAnswer(body: Buffer): ConversationAnswer | null {
  const answer = parseAnswer(body)
  const content = answer === null ? null : messageContent(answer)
  if (answer === null || content === null) return null
  const blocks: Block[] = []
  for (const block of content) {
    const read = isRecord(block) ? readBlock(block) : null
    if (read !== null) blocks.push(read)
  }
  const tier = isRecord(answer['serviceTier']) ? answer['serviceTier']['type'] : null
  return {
    id: '',
    model: '',
    blocks,
    stop: readStopReason(answer['stopReason']),
    stopSequence: null,
    usage: readUsage(answer['usage']),
    serviceTier: textOrNull(tier),
  }
}

function readBlock(block: Fields): Block | null {
  const { text, toolUse, reasoningContent, citationsContent } = block
  if (typeof text === 'string') return { type: 'text', text, citations: [], cache: null }
  if (isRecord(toolUse)) return readToolUse(toolUse)
  if (isRecord(reasoningContent)) return readReasoning(reasoningContent)
  return isRecord(citationsContent) ? readCited(citationsContent) : null
}

function readToolUse(call: Fields): Block {
  return {
    type: 'tool_call',
    id: textOrNull(call['toolUseId']) ?? '',
    name: textOrNull(call['name']) ?? '',
    input: inputText(call['input']),
    custom: false,
    signature: null,
    cache: null,
  }
}

function readReasoning(reasoning: Fields): Block {
  const { reasoningText, redactedContent } = reasoning
  const shown = isRecord(reasoningText) ? reasoningText : {}
  const redacted = typeof redactedContent === 'string'
  const value = redacted ? redactedContent : textOrNull(shown['signature'])
  return {
    type: 'thinking',
    text: textOrNull(shown['text']) ?? '',
    signature: value === null || value === '' ? null : { value, origin: null },
    redacted,
  }
}

function readCited({ content, citations }: Fields): Block {
  const texts: string[] = []
  for (const part of Array.isArray(content) ? content : []) {
    if (isRecord(part) && typeof part['text'] === 'string') texts.push(part['text'])
  }
  const cited: Citation[] = []
  for (const citation of Array.isArray(citations) ? citations : []) {
    if (isRecord(citation)) cited.push(readCitation(citation))
  }
  return { type: 'text', text: texts.join(''), citations: cited, cache: null }
}

export function readCitation(citation: Fields): Citation {
  const location = isRecord(citation['location']) ? citation['location'] : {}
  const web = isRecord(location['web']) ? location['web'] : {}
  const [first]: readonly unknown[] = Array.isArray(citation['sourceContent'])
    ? citation['sourceContent']
    : []
  return {
    url: textOrNull(web['url']),
    title: textOrNull(citation['title']),
    citedText: isRecord(first) ? textOrNull(first['text']) : null,
    start: null,
    end: null,
  }
}
