import type { Envelope } from '../../../contracts/envelope.ts'
import type { AnswerFacts, InputParts, ProtocolEndpoint } from '../../../contracts/protocol.ts'
import { NO_USAGE } from '../../../contracts/usage.ts'
import { boundTextInput } from '../../bound-text-input.ts'
import { renameModel } from '../../edits.ts'
import { invalidField, parseBody, readJsonBody, readModel } from '../../read-body.ts'
import { scanAnswer } from '../../scan-answer.ts'
import { EventTap, RAW_TAP } from './event-tap.ts'

/** Sound of one byte of text, at most: a quarter of the usual speed, 50 tokens a second. Tokens; not read live. */
const TOKENS_PER_BYTE = 16
const FIXED_TOKENS = 1024
const NO_MEDIA: readonly string[] = []

/** Speaks a text. The sound passes as it comes, and nobody tells what it cost; events (`stream_format: sse`) do. */
export const SPEECH: ProtocolEndpoint = {
  endpoint: 'audio',
  method: 'POST',
  path: '/v1/audio/speech',
  query: '',
  streams: true,
  carriesDocuments: false,
  billed: true,
  translated: false,
  framing: 'raw',
  media: true,
  readEnvelope,
  boundInput: (body) => boundTextInput(body, NO_MEDIA),
  readInput,
  renameModel,
  capOutput: () => [],
  addPrompts: null,
  askForUsage: () => null,
  readAnswer,
  startTap: (options) => (options.framing === 'sse' ? new EventTap(options) : RAW_TAP),
}

function readEnvelope(bytes: Buffer, maxDepth: number): Envelope {
  const body = readJsonBody(bytes, maxDepth, null)
  const { model, span } = readModel(body)
  const input = body.members.get('input')
  if (input === undefined) throw invalidField('input', 'is required.')
  return {
    model,
    modelSpan: span,
    stream: true,
    maxOutputTokens: (input.end - input.start) * TOKENS_PER_BYTE + FIXED_TOKENS,
    maxOutputSpans: [],
    choices: 1,
    streamUsage: true,
    members: body.members,
    membersEndAt: body.membersEndAt,
    sizeBytes: bytes.length,
    values: () => parseBody(bytes),
  }
}

function readInput(envelope: Envelope): InputParts {
  const { input, instructions } = envelope.values()
  const texts = [input, instructions].filter((text) => typeof text === 'string')
  return { texts, overheadTokens: FIXED_TOKENS, mediaTokens: 0 }
}

/** Only where a server answers in JSON, which it does to say what is wrong, or with the sound inside. */
function readAnswer(body: Buffer): AnswerFacts | null {
  const answer = scanAnswer(body)
  if (answer === null) return null
  return {
    usage: NO_USAGE,
    servedModel: null,
    text: () => '',
    failed: (answer.value('error') ?? null) !== null,
  }
}
