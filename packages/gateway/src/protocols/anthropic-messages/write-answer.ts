import type {
  Block,
  Citation,
  ConversationAnswer,
  ThinkingBlock,
} from '../../contracts/conversation.ts'
import type { AnswerOptions } from '../../contracts/dialect.ts'
import { callInput } from '../translation/call-input.ts'
import { sealCallId, sealSignature } from '../translation/seal.ts'
import { citationJson } from './citations.ts'
import { writtenStopReason } from './stop-reasons.ts'
import { usageJson } from './usage-json.ts'

/** Stands for an answer's image, which this protocol has no place for. */
export const IMAGE_NOTE = '(An image, which this protocol cannot carry.)'

export function writeAnswer(answer: ConversationAnswer, options: AnswerOptions): string {
  const blocks: string[] = []
  let called = false
  let refused = false
  for (const block of answer.blocks) {
    const json = answerBlockJson(block)
    if (json !== null) blocks.push(json)
    called ||= block.type === 'tool_call'
    refused ||= block.type === 'refusal'
  }
  const stop = writtenStopReason(answer.stop, { called, refused })
  return (
    `{"id":${JSON.stringify(messageId(answer.id, options.requestId))},"type":"message","role":"assistant"` +
    `,"model":${JSON.stringify(options.conversation.model)},"content":[${blocks.join(',')}]` +
    `,"stop_reason":"${stop}","stop_sequence":${JSON.stringify(answer.stopSequence)}` +
    `,"stop_details":null,"container":null,"usage":${usageJson(answer.usage, answer.serviceTier)}}`
  )
}

/** The provider's id where it is one of this protocol. */
export function messageId(id: string, requestId: string): string {
  return id.startsWith('msg_') ? id : `msg_${requestId.replace(/^req_/, '')}`
}

/** Null for texts that say nothing: an empty block that comes back in the next request would be refused. */
function answerBlockJson(block: Block): string | null {
  switch (block.type) {
    case 'text':
      return block.text === '' ? null : textJson(block.text, block.citations)
    case 'refusal':
      return block.text === '' ? null : textJson(block.text, [])
    case 'thinking':
      return thinkingJson(block)
    case 'tool_call':
      return toolUseJson(
        sealCallId(block.id, block.signature),
        block.name,
        callInput(block.input).json,
      )
    case 'image':
    case 'document':
    case 'audio':
      return textJson(IMAGE_NOTE, [])
    case 'tool_result':
      return null
  }
}

function textJson(text: string, citations: readonly Citation[]): string {
  const cited: string[] = []
  for (const citation of citations) {
    const json = citationJson(citation)
    if (json !== null) cited.push(json)
  }
  const list = cited.length === 0 ? 'null' : `[${cited.join(',')}]`
  return `{"type":"text","text":${JSON.stringify(text)},"citations":${list}}`
}

/** As the client must give it back; `''` where the provider signs nothing. */
function thinkingJson({ text, signature, redacted }: ThinkingBlock): string {
  const sealed = JSON.stringify(signature === null ? '' : sealSignature(signature))
  if (redacted) return `{"type":"redacted_thinking","data":${sealed}}`
  return `{"type":"thinking","thinking":${JSON.stringify(text)},"signature":${sealed}}`
}

export function toolUseJson(id: string, name: string, inputJson: string): string {
  return `{"type":"tool_use","id":${JSON.stringify(id)},"name":${JSON.stringify(name)},"input":${inputJson}}`
}
