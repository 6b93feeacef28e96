import type { Envelope } from '../../contracts/envelope.ts'
import type { AnswerFacts, ProtocolEndpoint } from '../../contracts/protocol.ts'
import { boundTextInput } from '../bound-text-input.ts'
import { capOutput, renameModel } from '../edits.ts'
import { parseAnswer, textOrNull } from '../read-answer.ts'
import {
  invalidField,
  parseBody,
  type ReadBody,
  readFlag,
  readJsonBody,
  readModel,
  readOutputCap,
} from '../read-body.ts'
import { schemaWriter } from '../ask-for-schema.ts'
import { textsFinder } from '../directive-texts.ts'
import { isSchemaFormat, mediumByType, needsReader } from '../read-needs.ts'
import { addPrompts } from './add-prompts.ts'
import { readOutputText } from './answer-text.ts'
import { readResponsesInput, STORED_MEMBERS } from './input.ts'
import { responsesLengthStop } from './length-stop.ts'
import { ResponsesTap } from './responses-tap.ts'
import { readUsage } from './usage.ts'

const QUOTE = 0x22
const OPEN_ARRAY = 0x5b
const OUTPUT_CAP = 'max_output_tokens'
/** Its usage comes later, by a path that is not served: nobody could count it. */
const UNBILLABLE = 'is not available in this version; the answer must come in the same call.'
/** What stands in a body that holds media, or names input that only the provider has. No `_`, which could be escaped. */
const UNBOUNDED = [
  'image',
  'audio',
  'file',
  'video',
  'screenshot',
  '"previous',
  '"conversation"',
  '"prompt"',
] as const

export const RESPONSES: ProtocolEndpoint = {
  endpoint: 'responses',
  method: 'POST',
  path: '/v1/responses',
  query: '',
  streams: true,
  carriesDocuments: true,
  billed: true,
  translated: true,
  framing: 'sse',
  readEnvelope,
  boundInput: (body) => boundTextInput(body, UNBOUNDED),
  readNeeds: needsReader({
    tools: ['tools'],
    formats: ['text'],
    asksSchema: (value) => isSchemaFormat(value['format']),
    contents: ['input'],
    mediumOf: mediumByType({
      input_image: 'vision',
      computer_screenshot: 'vision',
      input_audio: 'audio',
      input_file: 'documents',
    }),
    mayHoldMedia: (body) => boundTextInput(body, UNBOUNDED) === null,
  }),
  readInput: readResponsesInput,
  findTexts: textsFinder({
    members: ['instructions', 'input'],
    own: new Set(['input', 'input.content', 'input.content.text']),
    others: new Set(['instructions', 'input.output', 'input.output.text']),
    role: 'input.role',
    // The input alone, as one text, is the user's.
    isUser: (role) => role === 'user' || role === null,
  }),
  askForSchema: schemaWriter({
    names: ['text'],
    taken: ['format'],
    write: (schema) => `"format":{"type":"json_schema","name":"output","schema":${schema}}`,
  }),
  renameModel,
  // The member that a provider knows in chat is none here.
  capOutput: (envelope, tokens) => capOutput(envelope, OUTPUT_CAP, tokens),
  addPrompts,
  askForUsage: () => null,
  readAnswer,
  startTap: () => new ResponsesTap(),
  startLengthStop: responsesLengthStop,
}

function readEnvelope(bytes: Buffer, maxDepth: number): Envelope {
  const body = readJsonBody(bytes, maxDepth, null)
  const { model, span } = readModel(body)
  checkInput(body)
  if (readFlag(body, 'background')) throw invalidField('background', UNBILLABLE)
  const cap = readOutputCap(body, [OUTPUT_CAP])
  return {
    model,
    modelSpan: span,
    stream: readFlag(body, 'stream'),
    maxOutputTokens: cap.tokens,
    maxOutputSpans: cap.spans,
    choices: 1,
    streamUsage: true,
    members: body.members,
    membersEndAt: body.membersEndAt,
    sizeBytes: bytes.length,
    values: () => parseBody(bytes),
  }
}

function checkInput(body: ReadBody): void {
  const span = body.members.get('input')
  if (span === undefined) {
    if (STORED_MEMBERS.some((name) => body.members.has(name))) return
    throw invalidField('input', 'is required.')
  }
  const first = body.bytes[span.start]
  if (first !== QUOTE && first !== OPEN_ARRAY) {
    throw invalidField('input', 'must be a string or a list of items.')
  }
}

/** An answer that is made in the background comes empty, `queued` or `in_progress`; that is no failure. */
function readAnswer(body: Buffer): AnswerFacts | null {
  const answer = parseAnswer(body)
  if (answer === null) return null
  return {
    usage: readUsage(answer),
    servedModel: textOrNull(answer['model']),
    text: () => readOutputText(answer['output']),
    failed:
      (answer['error'] ?? null) !== null ||
      answer['status'] === 'failed' ||
      !Array.isArray(answer['output']),
  }
}
