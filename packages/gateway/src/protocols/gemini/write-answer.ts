import type {
  Block,
  ConversationAnswer,
  Signature,
  ThinkingBlock,
} from '../../contracts/conversation.ts'
import type { AnswerOptions } from '../../contracts/dialect.ts'
import { sealSignature } from '../translation/seal.ts'
import { type CitingText, groundingJson } from './citations.ts'
import { finishJson } from './finish-reasons.ts'
import { mediaJson } from './media.ts'
import { usageJson } from './usage.ts'
import { callJson, textJson, thoughtJson } from './write-parts.ts'

export function writeAnswer(answer: ConversationAnswer, options: AnswerOptions): string {
  const parts: string[] = []
  const citing = new Map<number, CitingText>()
  for (const block of answer.blocks) {
    if (block.type === 'text' && block.citations.length > 0) citing.set(parts.length, block)
    const part = partOf(block)
    if (part !== null) parts.push(part)
  }
  if (parts.length === 0) parts.push(textJson(''))
  const grounding = groundingJson(citing)
  const grounded = grounding === null ? '' : `,"groundingMetadata":${grounding}`
  const content = `{"parts":[${parts.join(',')}],"role":"model"}`
  const candidate = `{"content":${content},${finishJson(answer.stop)},"index":0${grounded}}`
  const usage = usageJson(answer.usage)
  const used = usage === null ? '' : `,"usageMetadata":${usage}`
  return `{"candidates":[${candidate}]${used},${identityJson(options, answer.id)}}`
}

/** Which model answered, under the name that the client used, and which answer it is. */
export function identityJson({ conversation, requestId }: AnswerOptions, id: string): string {
  const model = JSON.stringify(conversation.model)
  return `"modelVersion":${model},"responseId":${JSON.stringify(id === '' ? requestId : id)}`
}

function partOf(block: Block): string | null {
  switch (block.type) {
    case 'text':
    case 'refusal':
      return block.text === '' ? null : textJson(block.text)
    case 'thinking':
      return thinkingJson(block)
    case 'tool_call':
      return callJson(block, sealed(block.signature))
    case 'image':
    case 'document':
      // A file id of another provider is of no use to anybody.
      return block.source.kind === 'file' ? null : `{${mediaJson(block)}}`
    case 'audio':
      return `{${mediaJson(block)}}`
    case 'tool_result':
      return null
  }
}

function thinkingJson({ text, signature, redacted }: ThinkingBlock): string | null {
  if (text === '' && signature === null) return null
  return thoughtJson(redacted ? null : text, sealed(signature))
}

function sealed(signature: Signature | null): string | null {
  return signature === null ? null : sealSignature(signature)
}
