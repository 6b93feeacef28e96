import type { Envelope } from '../../contracts/envelope.ts'
import type { AnswerFacts, InputParts, ProtocolEndpoint } from '../../contracts/protocol.ts'
import { isRecord } from '../../lib/is-record.ts'
import { boundTextInput } from '../bound-text-input.ts'
import { capOutput, renameModel } from '../edits.ts'
import { parseAnswer, textOrNull } from '../read-answer.ts'
import {
  invalidField,
  memberValue,
  parseBody,
  type ReadBody,
  readCount,
  readFlag,
  readJsonBody,
  readModel,
  readOutputCap,
} from '../read-body.ts'
import { asksForUsage, askForUsage } from './ask-for-usage.ts'
import { ChatTap } from './chat-tap.ts'
import { chatLengthStop } from './length-stop.ts'
import { readUsage } from './usage.ts'

/** OpenAI's own maximum for `n`; the one for `best_of` is smaller. */
const MAX_CHOICES = 128
const MAX_PROMPTS = 2048
const OPEN_ARRAY = 0x5b
const NO_MEDIA: readonly string[] = []

/** The older endpoint, which continues a text. Local servers offer it for models without a chat template. */
export const COMPLETIONS: ProtocolEndpoint = {
  endpoint: 'completions',
  method: 'POST',
  path: '/v1/completions',
  query: '',
  streams: true,
  carriesDocuments: false,
  billed: true,
  translated: false,
  framing: 'sse',
  readEnvelope,
  boundInput: (body) => boundTextInput(body, NO_MEDIA),
  readInput,
  renameModel,
  capOutput: (envelope, tokens) => capOutput(envelope, 'max_tokens', tokens),
  addPrompts: null,
  askForUsage,
  readAnswer,
  startTap: (options) => new ChatTap(options, readText),
  startLengthStop: chatLengthStop(true),
}

function readEnvelope(bytes: Buffer, maxDepth: number): Envelope {
  const body = readJsonBody(bytes, maxDepth, null)
  const { model, span } = readModel(body)
  const cap = readCap(body)
  return {
    model,
    modelSpan: span,
    stream: readFlag(body, 'stream'),
    maxOutputTokens: cap.tokens,
    maxOutputSpans: cap.spans,
    choices: countPrompts(body) * choicesOf(body),
    streamUsage: asksForUsage(memberValue(body, 'stream_options')),
    members: body.members,
    membersEndAt: body.membersEndAt,
    sizeBytes: bytes.length,
    values: () => parseBody(bytes),
  }
}

/** 0 is legal here: with `echo` it scores the prompt. */
function readCap(body: ReadBody): ReturnType<typeof readOutputCap> {
  const span = body.members.get('max_tokens')
  if (span === undefined || memberValue(body, 'max_tokens') !== 0) {
    return readOutputCap(body, ['max_tokens'])
  }
  return { tokens: 0, spans: [span] }
}

/** All of `best_of` are generated and billed, also those that are not returned. */
function choicesOf(body: ReadBody): number {
  const choices = readCount(body, 'n', MAX_CHOICES) ?? 1
  return Math.max(choices, readCount(body, 'best_of', MAX_CHOICES) ?? 1)
}

/** A prompt is a text or a list of token ids; a list of prompts is answered one by one. */
function countPrompts(body: ReadBody): number {
  const span = body.members.get('prompt')
  if (span === undefined) throw invalidField('prompt', 'is required.')
  if (body.bytes[span.start] !== OPEN_ARRAY) return 1
  const list = memberValue(body, 'prompt')
  if (!Array.isArray(list) || list.length === 0) throw invalidField('prompt', 'must not be empty.')
  if (typeof list[0] === 'number') return 1
  if (list.length > MAX_PROMPTS) throw invalidField('prompt', `must be at most ${MAX_PROMPTS}.`)
  return list.length
}

function readInput(envelope: Envelope): InputParts {
  const { prompt, suffix } = envelope.values()
  const texts: string[] = typeof suffix === 'string' ? [suffix] : []
  let idCount = 0
  for (const item of Array.isArray(prompt) ? prompt : [prompt]) {
    if (typeof item === 'string') texts.push(item)
    else idCount += Array.isArray(item) ? item.length : 1
  }
  return { texts, overheadTokens: idCount, mediaTokens: 0 }
}

function readAnswer(body: Buffer): AnswerFacts | null {
  const answer = parseAnswer(body)
  if (answer === null) return null
  return {
    usage: readUsage(answer['usage']),
    servedModel: textOrNull(answer['model']),
    text: () => readText(answer['choices']),
    failed: (answer['error'] ?? null) !== null || !Array.isArray(answer['choices']),
  }
}

function readText(choices: unknown): string {
  let text = ''
  for (const choice of Array.isArray(choices) ? choices : []) {
    if (isRecord(choice) && typeof choice['text'] === 'string') text += choice['text']
  }
  return text
}
