import type { Envelope } from '../../contracts/envelope.ts'
import type { AnswerFacts, ProtocolEndpoint } from '../../contracts/protocol.ts'
import { NO_USAGE } from '../../contracts/usage.ts'
import { isRecord } from '../../lib/is-record.ts'
import { capOutput, renameModel } from '../edits.ts'
import {
  checkRoles,
  invalidField,
  readFlag,
  readModel,
  readOutputCap,
  scanBody,
} from '../read-body.ts'
import { answerMember, scanAnswer } from '../scan-answer.ts'
import { readMessagesInput } from './input.ts'
import { MessagesTap } from './messages-tap.ts'
import { readUsage } from './usage.ts'

/** `system` inside a conversation needs a beta header; the provider judges that. */
const ROLES = new Set(['user', 'assistant', 'system'])
const WATCH = { list: 'messages', member: 'role' } as const

export const MESSAGES: ProtocolEndpoint = {
  endpoint: 'messages',
  method: 'POST',
  path: '/v1/messages',
  streams: true,
  carriesDocuments: true,
  billed: true,
  readEnvelope: (body) => readEnvelope(body, true),
  readInput: readMessagesInput,
  renameModel,
  capOutput: (envelope, tokens) => capOutput(envelope, 'max_tokens', tokens),
  askForUsage: () => null,
  readAnswer,
  startTap: () => new MessagesTap(),
}

/** The provider's own counter. It generates nothing and costs nothing, so no limit but `requests` is charged. */
export const COUNT_TOKENS: ProtocolEndpoint = {
  ...MESSAGES,
  endpoint: 'count_tokens',
  path: '/v1/messages/count_tokens',
  streams: false,
  billed: false,
  readEnvelope: (body) => readEnvelope(body, false),
  capOutput: () => [],
  readAnswer: readCount,
}

function readEnvelope(body: Buffer, generates: boolean): Envelope {
  const scan = scanBody(body, WATCH)
  const { model, span } = readModel(body, scan)
  checkRoles(body, scan, ROLES)
  const cap = readOutputCap(body, scan, ['max_tokens'])
  if (generates && cap.tokens === null) throw invalidField('max_tokens', 'is required.')
  return {
    model,
    modelSpan: span,
    stream: generates && readFlag(body, scan, 'stream'),
    maxOutputTokens: generates ? cap.tokens : 0,
    maxOutputSpans: cap.spans,
    choices: 1,
    streamUsage: true,
    members: scan.members,
    membersEndAt: scan.membersEndAt,
    sizeBytes: body.length,
  }
}

function readAnswer(body: Buffer): AnswerFacts | null {
  const scan = scanAnswer(body)
  if (scan === null) return null
  const model = answerMember(body, scan, 'model')
  return {
    usage: readUsage(answerMember(body, scan, 'usage')),
    servedModel: typeof model === 'string' ? model : null,
    text: () => readContentText(answerMember(body, scan, 'content')),
    failed: answerMember(body, scan, 'type') === 'error' || !scan.members.has('content'),
  }
}

function readCount(body: Buffer): AnswerFacts | null {
  const scan = scanAnswer(body)
  if (scan === null) return null
  return {
    usage: NO_USAGE,
    servedModel: null,
    text: () => '',
    failed: !scan.members.has('input_tokens'),
  }
}

function readContentText(content: unknown): string {
  let text = ''
  for (const block of Array.isArray(content) ? content : []) {
    if (!isRecord(block)) continue
    if (typeof block['text'] === 'string') text += block['text']
    else if (typeof block['thinking'] === 'string') text += block['thinking']
    else if (block['input'] !== undefined) text += JSON.stringify(block['input'])
  }
  return text
}
