import type { Envelope } from '../../contracts/envelope.ts'
import type { AnswerFacts, InputParts, ProtocolEndpoint } from '../../contracts/protocol.ts'
import { boundTextInput } from '../bound-text-input.ts'
import { renameModel } from '../edits.ts'
import { parseAnswer, textOrNull } from '../read-answer.ts'
import { invalidField, parseBody, readJsonBody, readModel } from '../read-body.ts'
import { ChatTap } from './chat-tap.ts'
import { readUsage } from './usage.ts'

const NO_MEDIA: readonly string[] = []

export const EMBEDDINGS: ProtocolEndpoint = {
  endpoint: 'embeddings',
  method: 'POST',
  path: '/v1/embeddings',
  query: '',
  streams: false,
  carriesDocuments: false,
  billed: true,
  translated: false,
  framing: 'sse',
  readEnvelope,
  boundInput: (body) => boundTextInput(body, NO_MEDIA),
  readInput,
  renameModel,
  capOutput: () => [],
  addPrompts: null,
  askForUsage: () => null,
  readAnswer,
  startTap: (options) => new ChatTap(options),
}

function readEnvelope(bytes: Buffer, maxDepth: number): Envelope {
  const body = readJsonBody(bytes, maxDepth, null)
  const { model, span } = readModel(body)
  if (!body.members.has('input')) throw invalidField('input', 'is required.')
  return {
    model,
    modelSpan: span,
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

/** Input is a text, texts, a list of token ids, or lists of token ids. */
function readInput(envelope: Envelope): InputParts {
  const { input } = envelope.values()
  const texts: string[] = []
  let idCount = 0
  for (const item of Array.isArray(input) ? input : [input]) {
    if (typeof item === 'string') texts.push(item)
    else idCount += Array.isArray(item) ? item.length : 1
  }
  return { texts, overheadTokens: idCount, mediaTokens: 0 }
}

function readAnswer(body: Buffer): AnswerFacts | null {
  const answer = parseAnswer(body)
  if (answer === null) return null
  return {
    usage: { ...readUsage(answer['usage']), outputTokens: 0 },
    servedModel: textOrNull(answer['model']),
    text: () => '',
    failed: (answer['error'] ?? null) !== null || answer['data'] === undefined,
  }
}
