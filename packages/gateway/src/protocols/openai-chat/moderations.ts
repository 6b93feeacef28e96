import type { Envelope } from '../../contracts/envelope.ts'
import type { AnswerFacts, ProtocolEndpoint } from '../../contracts/protocol.ts'
import { NO_USAGE } from '../../contracts/usage.ts'
import { addMember, renameModel } from '../edits.ts'
import { parseAnswer, textOrNull } from '../read-answer.ts'
import { invalidField, parseBody, readJsonBody, readModel } from '../read-body.ts'
import { ChatTap } from './chat-tap.ts'

/** What OpenAI takes when the request names none: developers.openai.com/api/reference (official client 7.55, read 2026-11-21). */
const DEFAULT_MODEL = 'omni-moderation-latest'

/** Classifies text and images. It is free of charge, so no limit but `requests` is charged. */
export const MODERATIONS: ProtocolEndpoint = {
  endpoint: 'moderations',
  method: 'POST',
  path: '/v1/moderations',
  query: '',
  streams: false,
  carriesDocuments: true,
  billed: false,
  translated: false,
  framing: 'sse',
  readEnvelope,
  boundInput: () => 0,
  readInput: () => ({ texts: [], overheadTokens: 0, mediaTokens: 0 }),
  renameModel: (envelope, model) =>
    envelope.modelSpan === null
      ? addMember(envelope, 'model', JSON.stringify(model))
      : renameModel(envelope, model),
  capOutput: () => [],
  addPrompts: null,
  askForUsage: () => null,
  readAnswer,
  startTap: (options) => new ChatTap(options),
}

function readEnvelope(bytes: Buffer, maxDepth: number): Envelope {
  const body = readJsonBody(bytes, maxDepth, null)
  const named = body.members.has('model') ? readModel(body) : null
  if (!body.members.has('input')) throw invalidField('input', 'is required.')
  return {
    model: named?.model ?? DEFAULT_MODEL,
    modelSpan: named?.span ?? null,
    stream: false,
    maxOutputTokens: 0,
    maxOutputSpans: [],
    choices: 1,
    streamUsage: false,
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
    usage: NO_USAGE,
    servedModel: textOrNull(answer['model']),
    text: () => '',
    failed: (answer['error'] ?? null) !== null || !Array.isArray(answer['results']),
  }
}
