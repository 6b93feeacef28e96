import type {
  Block,
  Citation,
  ConversationAnswer,
  ToolCallBlock,
} from '../../contracts/conversation.ts'
import type { AnswerOptions } from '../../contracts/dialect.ts'
import { urlOf } from '../openai-wire/media.ts'
import { sealCallId } from '../translation/seal.ts'
import { LEGACY_MARK } from './read-request.ts'
import { showThinking } from './reasoning.ts'
import { writeStopReason } from './stop-reasons.ts'
import { writeUsage } from './write-usage.ts'

export function writeAnswer(answer: ConversationAnswer, options: AnswerOptions): string {
  const { conversation, createdAtMs, requestId } = options
  const legacy = conversation.clientMark === LEGACY_MARK
  const calls = answer.blocks.filter((block) => block.type === 'tool_call')
  const held = {
    calls: calls.length > 0,
    refusal: answer.blocks.some((block) => block.type === 'refusal'),
  }
  const reason = writeStopReason(answer.stop, held)
  const usage = writeUsage(answer.usage)
  return JSON.stringify({
    id: answerId(requestId),
    object: 'chat.completion',
    created: Math.floor(createdAtMs / 1000),
    model: conversation.model,
    choices: [
      {
        index: 0,
        message: writeMessage(answer.blocks, calls, legacy),
        logprobs: null,
        finish_reason: legacy && reason === 'tool_calls' ? 'function_call' : reason,
      },
    ],
    ...(usage === null ? {} : { usage }),
    ...(answer.serviceTier === null ? {} : { service_tier: answer.serviceTier }),
  })
}

export function answerId(requestId: string): string {
  return `chatcmpl-${requestId}`
}

function writeMessage(
  blocks: readonly Block[],
  calls: readonly ToolCallBlock[],
  legacy: boolean,
): Record<string, unknown> {
  const message: Record<string, unknown> = { role: 'assistant', content: null, refusal: null }
  let content = ''
  let refusal = ''
  const annotations: unknown[] = []
  const images: unknown[] = []
  for (const block of blocks) {
    if (block.type === 'text') {
      const place = { from: content.length, to: content.length + block.text.length }
      for (const one of block.citations) annotations.push(writeCitation(one, place))
      content += block.text
    } else if (block.type === 'refusal') refusal += block.text
    else if (block.type === 'image') images.push(writeImage(urlOf(block.source)))
  }
  if (content !== '') message['content'] = content
  if (refusal !== '') message['refusal'] = refusal
  showThinking(
    message,
    blocks.filter((block) => block.type === 'thinking'),
  )
  if (annotations.length > 0) message['annotations'] = annotations
  if (images.length > 0) message['images'] = images
  const [first] = calls
  if (legacy && first !== undefined) message['function_call'] = functionOf(first)
  else if (calls.length > 0) message['tool_calls'] = calls.map(writeCall)
  return message
}

function writeCall(block: ToolCallBlock): Readonly<Record<string, unknown>> {
  const { name, input } = block
  const id = sealCallId(block.id, block.signature)
  return block.custom
    ? { id, type: 'custom', custom: { name, input } }
    : { id, type: 'function', function: functionOf(block) }
}

function functionOf({ name, input }: ToolCallBlock): { name: string; arguments: string } {
  return { name, arguments: input === '' ? '{}' : input }
}

/** `place`: where the citing text stands in the whole content. Without offsets of its own, all of it is what cites. */
export function writeCitation(
  citation: Citation,
  place: { readonly from: number; readonly to: number },
): Record<string, unknown> {
  const { url, title, citedText, start, end } = citation
  return {
    type: 'url_citation',
    url_citation: {
      url: url ?? '',
      title: title ?? '',
      start_index: start === null ? place.from : place.from + start,
      end_index: end === null ? place.to : place.from + end,
      ...(citedText === null ? {} : { content: citedText }),
    },
  }
}

export function writeImage(url: string | null): Record<string, unknown> {
  return { type: 'image_url', image_url: { url: url ?? '' } }
}
