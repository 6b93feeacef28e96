import type { ByteEdit, Envelope } from '../../contracts/envelope.ts'
import type { AnswerFacts, ProtocolEndpoint } from '../../contracts/protocol.ts'
import { scanJsonObject } from '../../lib/json-scan.ts'
import { addMember, capOutput, renameModel } from '../edits.ts'
import {
  checkRoles,
  invalidField,
  parseSpan,
  readCount,
  readFlag,
  readModel,
  readOutputCap,
  scanBody,
} from '../read-body.ts'
import { answerMember, scanAnswer } from '../scan-answer.ts'
import { readChoiceText } from './answer-text.ts'
import { ChatTap } from './chat-tap.ts'
import { readChatInput } from './input.ts'
import { readUsage } from './usage.ts'
import { isRecord } from '../../lib/is-record.ts'

const ROLES = new Set(['system', 'developer', 'user', 'assistant', 'tool', 'function'])
const WATCH = { list: 'messages', member: 'role' } as const
/** OpenAI's own maximum for `n`. */
const MAX_CHOICES = 128

export const CHAT: ProtocolEndpoint = {
  endpoint: 'chat',
  method: 'POST',
  path: '/v1/chat/completions',
  streams: true,
  carriesDocuments: false,
  billed: true,
  readEnvelope,
  readInput: readChatInput,
  renameModel,
  capOutput: (envelope, tokens, member) => capOutput(envelope, member ?? 'max_tokens', tokens),
  askForUsage,
  readAnswer,
  startTap: (options) => new ChatTap(options),
}

function readEnvelope(body: Buffer): Envelope {
  const scan = scanBody(body, WATCH)
  const { model, span } = readModel(body, scan)
  if (!scan.members.has('messages') && scan.members.has('input')) {
    throw invalidField(
      'messages',
      'is required; Responses-shaped bodies are not served in this version.',
    )
  }
  checkRoles(body, scan, ROLES)
  const cap = readOutputCap(body, scan, ['max_completion_tokens', 'max_tokens'])
  if (cap.spans.length > 1) {
    throw invalidField('max_tokens', 'must not be given together with max_completion_tokens.')
  }
  return {
    model,
    modelSpan: span,
    stream: readFlag(body, scan, 'stream'),
    maxOutputTokens: cap.tokens,
    maxOutputSpans: cap.spans,
    choices: readCount(body, scan, 'n', MAX_CHOICES) ?? 1,
    streamUsage: asksForUsage(body, scan.members.get('stream_options')),
    members: scan.members,
    membersEndAt: scan.membersEndAt,
    sizeBytes: body.length,
  }
}

function asksForUsage(body: Buffer, span: { start: number; end: number } | undefined): boolean {
  if (span === undefined) return false
  const options = parseSpan(body, span)
  if (options === null) return false
  if (!isRecord(options)) throw invalidField('stream_options', 'must be an object.')
  return options['include_usage'] === true
}

/** Adds `stream_options.include_usage`, keeping other stream options as written. */
function askForUsage(body: Buffer, envelope: Envelope): ByteEdit | null {
  if (!envelope.stream || envelope.streamUsage) return null
  const span = envelope.members.get('stream_options')
  if (span === undefined) return addMember(envelope, 'stream_options', '{"include_usage":true}')
  if (body[span.start] !== 0x7b) return { ...span, text: '{"include_usage":true}' }
  const options = scanJsonObject(
    body,
    { maxDepth: 64, refuseDuplicateKeys: true, watch: null },
    span.start,
    span.end,
  )
  const asked = options.members.get('include_usage')
  if (asked !== undefined) return { ...asked, text: 'true' }
  const comma = options.members.size === 0 ? '' : ','
  const at = options.membersEndAt
  return { start: at, end: at, text: `${comma}"include_usage":true` }
}

function readAnswer(body: Buffer): AnswerFacts | null {
  const scan = scanAnswer(body)
  if (scan === null) return null
  const model = answerMember(body, scan, 'model')
  const error = answerMember(body, scan, 'error')
  return {
    usage: readUsage(answerMember(body, scan, 'usage')),
    servedModel: typeof model === 'string' ? model : null,
    text: () => readChoiceText(answerMember(body, scan, 'choices'), 'message'),
    failed: error !== null || !scan.members.has('choices'),
  }
}
