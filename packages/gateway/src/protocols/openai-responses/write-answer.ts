import type { Block, ConversationAnswer } from '../../contracts/conversation.ts'
import type { AnswerOptions } from '../../contracts/dialect.ts'
import {
  annotationJson,
  callJson,
  callTextJson,
  imageJson,
  messageJson,
  reasoningJson,
  refusalPartJson,
  textPartJson,
} from './output-items.ts'
import { incompleteReason, ResponseObject } from './response-object.ts'

export function writeAnswer(answer: ConversationAnswer, options: AnswerOptions): string {
  const hasRefusal = answer.blocks.some((block) => block.type === 'refusal')
  const reason = incompleteReason(answer.stop, hasRefusal)
  const { conversation } = options
  const serviceTier = answer.serviceTier ?? conversation.serviceTier
  return new ResponseObject({ ...options, conversation: { ...conversation, serviceTier } }).json({
    status: reason === null ? 'completed' : 'incomplete',
    output: writeOutput(answer.blocks, options.requestId),
    usage: answer.usage,
    reason,
    error: null,
  })
}

/** Neighbouring texts and refusals are parts of one message. */
function writeOutput(blocks: readonly Block[], requestId: string): readonly string[] {
  const items: string[] = []
  let parts: string[] = []
  const nextId = (prefix: string): string => itemId(prefix, requestId, items.length)
  const flush = (): void => {
    if (parts.length > 0) items.push(messageJson(nextId('msg'), 'completed', parts))
    parts = []
  }
  for (const block of blocks) {
    const part = writePart(block)
    if (part === null) {
      flush()
      const item = writeItem(block, nextId)
      if (item !== null) items.push(item)
    } else parts.push(part)
  }
  flush()
  return items
}

export function itemId(prefix: string, requestId: string, outputIndex: number): string {
  return `${prefix}_${requestId}_${outputIndex}`
}

function writePart(block: Block): string | null {
  if (block.type === 'refusal') return refusalPartJson(JSON.stringify(block.text))
  if (block.type !== 'text') return null
  const { text, citations } = block
  return textPartJson(
    JSON.stringify(text),
    citations.map((one) => annotationJson(one, text.length)),
  )
}

function writeItem(block: Block, nextId: (prefix: string) => string): string | null {
  if (block.type === 'thinking') return reasoningJson(nextId('rs'), block)
  if (block.type === 'image') return imageJson(nextId('ig'), block.source)
  if (block.type !== 'tool_call') return null
  const text = callTextJson(block.input, block.custom)
  return callJson(nextId(block.custom ? 'ctc' : 'fc'), 'completed', { call: block, text })
}
