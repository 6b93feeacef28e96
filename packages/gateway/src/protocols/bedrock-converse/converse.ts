import type { AnswerFacts, ProtocolEndpoint } from '../../contracts/protocol.ts'
import { isRecord } from '../../lib/is-record.ts'
import { parseAnswer } from '../read-answer.ts'
import { inputText } from '../translation/call-input.ts'
import { notServed } from './not-served.ts'
import { ConverseTap } from './converse-tap.ts'
import { readUsage } from './usage.ts'

/**
 * Converse, as an upstream: no client speaks it here, so what reads or edits a client's body is never called.
 *
 * Model ids hold colons, those of inference profiles slashes too; both travel encoded.
 *
 * @see https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (from general knowledge; members of
 * usage and of structured output read 2026-11-21)
 */
export const CONVERSE: ProtocolEndpoint = {
  endpoint: 'chat',
  method: 'POST',
  path: '/model/{model}/converse',
  query: '',
  streams: false,
  carriesDocuments: true,
  billed: true,
  translated: false,
  framing: 'sse',
  readEnvelope: notServed,
  boundInput: notServed,
  readInput: notServed,
  renameModel: notServed,
  capOutput: notServed,
  addPrompts: null,
  askForUsage: notServed,
  readAnswer,
  startTap: () => new ConverseTap(),
}

export const CONVERSE_STREAM: ProtocolEndpoint = {
  ...CONVERSE,
  path: '/model/{model}/converse-stream',
  streams: true,
  framing: 'aws-event-stream',
}

/** The answer does not name the model. */
function readAnswer(body: Buffer): AnswerFacts | null {
  const answer = parseAnswer(body)
  if (answer === null) return null
  const content = messageContent(answer)
  return {
    usage: readUsage(answer['usage']),
    servedModel: null,
    text: () => contentText(content ?? []),
    failed: content === null,
  }
}

/** Null when there is no message. */
export function messageContent(
  answer: Readonly<Record<string, unknown>>,
): readonly unknown[] | null {
  const output = isRecord(answer['output']) ? answer['output'] : {}
  const message = isRecord(output['message']) ? output['message'] : {}
  return Array.isArray(message['content']) ? message['content'] : null
}

function contentText(content: readonly unknown[]): string {
  let text = ''
  for (const block of content) if (isRecord(block)) text += blockText(block)
  return text
}

function blockText(block: Readonly<Record<string, unknown>>): string {
  if (typeof block['text'] === 'string') return block['text']
  if (isRecord(block['toolUse'])) return inputText(block['toolUse']['input'])
  const reasoning = isRecord(block['reasoningContent']) ? block['reasoningContent'] : {}
  const shown = isRecord(reasoning['reasoningText']) ? reasoning['reasoningText'] : {}
  return typeof shown['text'] === 'string' ? shown['text'] : ''
}
