import type { Envelope } from '../../contracts/envelope.ts'
import type { AnswerFacts, ProtocolEndpoint } from '../../contracts/protocol.ts'
import { NO_USAGE } from '../../contracts/usage.ts'
import { isRecord } from '../../lib/is-record.ts'
import { schemaWriter } from '../ask-for-schema.ts'
import { boundTextInput } from '../bound-text-input.ts'
import { textsFinder } from '../directive-texts.ts'
import { capOutput, renameModel } from '../edits.ts'
import { parseAnswer, textOrNull } from '../read-answer.ts'
import {
  checkRoles,
  invalidField,
  parseBody,
  readFlag,
  readJsonBody,
  readModel,
  readOutputCap,
  ROLE_WATCH,
} from '../read-body.ts'
import { isSchemaFormat, mediumByType, needsReader } from '../read-needs.ts'
import { addPrompts } from './add-prompts.ts'
import { readMessagesInput } from './input.ts'
import { messagesLengthStop } from './length-stop.ts'
import { MessagesTap } from './messages-tap.ts'
import { readUsage } from './usage.ts'

/** `system` inside a conversation needs a beta header; the provider judges that. */
const ROLES: ReadonlySet<string> = new Set(['user', 'assistant', 'system'])

/** What stands in a body that holds images, documents or references to them. */
const MEDIA = ['image', 'document', 'file', 'url'] as const

export const MESSAGES: ProtocolEndpoint = {
  endpoint: 'messages',
  method: 'POST',
  path: '/v1/messages',
  query: '',
  streams: true,
  carriesDocuments: true,
  billed: true,
  translated: true,
  framing: 'sse',
  readEnvelope: (body, maxDepth) => readEnvelope(body, maxDepth, true),
  boundInput: (body) => boundTextInput(body, MEDIA),
  readNeeds: needsReader({
    tools: ['tools'],
    formats: ['output_format', 'output_config'],
    asksSchema: (value) => isSchemaFormat(value) || isSchemaFormat(value['format']),
    contents: ['messages', 'system'],
    mediumOf: mediumByType({ image: 'vision', document: 'documents' }),
    mayHoldMedia: (body) => boundTextInput(body, MEDIA) === null,
  }),
  readInput: readMessagesInput,
  findTexts: textsFinder({
    members: ['system', 'messages'],
    own: new Set(['messages.content', 'messages.content.text']),
    others: new Set([
      'system',
      'system.text',
      'messages.content.content',
      'messages.content.content.text',
    ]),
    role: 'messages.role',
    isUser: (role) => role === 'user',
  }),
  askForSchema: schemaWriter({
    names: ['output_config'],
    taken: ['format'],
    beside: ['output_format'],
    write: (schema) => `"format":{"type":"json_schema","schema":${schema}}`,
  }),
  renameModel,
  capOutput: (envelope, tokens) => capOutput(envelope, 'max_tokens', tokens),
  addPrompts,
  askForUsage: () => null,
  readAnswer,
  startTap: () => new MessagesTap(),
  startLengthStop: messagesLengthStop,
}

/**
 * The provider's own counter, or the gateway's where the target has none. It generates nothing and costs nothing, so no
 * limit but `requests` is charged.
 */
export const COUNT_TOKENS: ProtocolEndpoint = {
  ...MESSAGES,
  endpoint: 'count_tokens',
  path: '/v1/messages/count_tokens',
  streams: false,
  billed: false,
  translated: false,
  readEnvelope: (body, maxDepth) => readEnvelope(body, maxDepth, false),
  capOutput: () => [],
  readAnswer: readCount,
  renderCount: (inputTokens) => JSON.stringify({ input_tokens: inputTokens }),
}

function readEnvelope(bytes: Buffer, maxDepth: number, generates: boolean): Envelope {
  const body = readJsonBody(bytes, maxDepth, ROLE_WATCH)
  const { model, span } = readModel(body)
  checkRoles(body, ROLES)
  const cap = readOutputCap(body, ['max_tokens'])
  if (generates && cap.tokens === null) throw invalidField('max_tokens', 'is required.')
  return {
    model,
    modelSpan: span,
    stream: generates && readFlag(body, 'stream'),
    maxOutputTokens: generates ? cap.tokens : 0,
    maxOutputSpans: cap.spans,
    choices: 1,
    streamUsage: true,
    members: body.members,
    membersEndAt: body.membersEndAt,
    sizeBytes: bytes.length,
    values: () => parseBody(bytes),
  }
}

function readAnswer(body: Buffer): AnswerFacts | null {
  const answer = parseAnswer(body)
  if (answer === null) return null
  return {
    usage: readUsage(answer['usage']),
    servedModel: textOrNull(answer['model']),
    text: () => readContentText(answer['content']),
    failed: answer['type'] === 'error' || !Array.isArray(answer['content']),
  }
}

function readCount(body: Buffer): AnswerFacts | null {
  const answer = parseAnswer(body)
  if (answer === null) return null
  return {
    usage: NO_USAGE,
    servedModel: null,
    text: () => '',
    failed: answer['type'] === 'error' || answer['input_tokens'] === undefined,
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
