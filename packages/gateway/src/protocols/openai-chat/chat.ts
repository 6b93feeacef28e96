import type { Envelope } from '../../contracts/envelope.ts'
import type { AnswerFacts, ProtocolEndpoint } from '../../contracts/protocol.ts'
import { boundTextInput } from '../bound-text-input.ts'
import { addMessages } from '../add-messages.ts'
import { capOutput, renameModel } from '../edits.ts'
import { parseAnswer, textOrNull } from '../read-answer.ts'
import {
  checkRoles,
  invalidField,
  memberValue,
  parseBody,
  readCount,
  readFlag,
  readJsonBody,
  readModel,
  readOutputCap,
  ROLE_WATCH,
} from '../read-body.ts'
import { schemaWriter } from '../ask-for-schema.ts'
import { textsFinder } from '../directive-texts.ts'
import { isSchemaFormat, mediumByType, needsReader } from '../read-needs.ts'
import { asksForUsage, askForUsage } from './ask-for-usage.ts'
import { readChoiceText } from './answer-text.ts'
import { ChatTap } from './chat-tap.ts'
import { readChatInput } from './input.ts'
import { chatLengthStop } from './length-stop.ts'
import { readUsage } from './usage.ts'

const ROLES: ReadonlySet<string> = new Set([
  'system',
  'developer',
  'user',
  'assistant',
  'tool',
  'function',
])
/** OpenAI's own maximum for `n`. */
const MAX_CHOICES = 128
/** What stands in a body that holds images, audio or files. */
const MEDIA = ['image', 'audio', 'file', 'video'] as const

export const CHAT: ProtocolEndpoint = {
  endpoint: 'chat',
  method: 'POST',
  path: '/v1/chat/completions',
  query: '',
  streams: true,
  carriesDocuments: false,
  billed: true,
  translated: true,
  framing: 'sse',
  readEnvelope,
  alsoTakes: { protocol: 'openai-responses', unless: 'messages' },
  boundInput: (body) => boundTextInput(body, MEDIA),
  readNeeds: needsReader({
    tools: ['tools', 'functions'],
    formats: ['response_format'],
    asksSchema: isSchemaFormat,
    contents: ['messages'],
    mediumOf: mediumByType({
      image_url: 'vision',
      video_url: 'vision',
      input_audio: 'audio',
      file: 'documents',
    }),
    mayHoldMedia: (body) => boundTextInput(body, MEDIA) === null,
  }),
  readInput: readChatInput,
  findTexts: textsFinder({
    members: ['messages'],
    own: new Set(['messages.content', 'messages.content.text']),
    others: new Set(),
    role: 'messages.role',
    isUser: (role) => role === 'user',
  }),
  askForSchema: schemaWriter({
    names: ['response_format'],
    taken: null,
    write: (schema) => `"type":"json_schema","json_schema":{"name":"output","schema":${schema}}`,
  }),
  renameModel,
  capOutput: (envelope, tokens, member) => capOutput(envelope, member ?? 'max_tokens', tokens),
  addPrompts: addMessages,
  askForUsage,
  readAnswer,
  startTap: (options) => new ChatTap(options),
  startLengthStop: chatLengthStop(false),
}

function readEnvelope(bytes: Buffer, maxDepth: number): Envelope {
  const body = readJsonBody(bytes, maxDepth, ROLE_WATCH)
  const { model, span } = readModel(body)
  checkRoles(body, ROLES)
  const cap = readOutputCap(body, ['max_completion_tokens', 'max_tokens'])
  if (cap.spans.length > 1) {
    throw invalidField('max_tokens', 'must not be given together with max_completion_tokens.')
  }
  return {
    model,
    modelSpan: span,
    stream: readFlag(body, 'stream'),
    maxOutputTokens: cap.tokens,
    maxOutputSpans: cap.spans,
    choices: readCount(body, 'n', MAX_CHOICES) ?? 1,
    streamUsage: asksForUsage(memberValue(body, 'stream_options')),
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
    text: () => readChoiceText(answer['choices'], 'message'),
    failed: (answer['error'] ?? null) !== null || !Array.isArray(answer['choices']),
  }
}
