import type { AnswerFacts, ProtocolEndpoint } from '../../contracts/protocol.ts'
import { NO_USAGE, type Usage } from '../../contracts/usage.ts'
import { isRecord } from '../../lib/is-record.ts'
import { boundTextInput } from '../bound-text-input.ts'
import { parseAnswer, textOrNull } from '../read-answer.ts'
import { schemaWriter } from '../ask-for-schema.ts'
import { textsFinder } from '../directive-texts.ts'
import { needsReader } from '../read-needs.ts'
import { addPrompts } from './add-prompts.ts'
import { readCandidateText } from './answer-text.ts'
import { capOutput, renameModel } from './edits.ts'
import { GeminiTap } from './gemini-tap.ts'
import { readGeminiInput } from './input.ts'
import { geminiLengthStop } from './length-stop.ts'
import { readCountEnvelope, readGenerateEnvelope } from './read-envelope.ts'
import { readUsage } from './usage.ts'

/** What stands in a body that holds media, or names what is elsewhere. */
const MEDIA = [
  'inlineData',
  'inline_data',
  'fileData',
  'file_data',
  'cachedContent',
  'cached_content',
] as const

const SCHEMAS = [
  'responseSchema',
  'response_schema',
  'responseJsonSchema',
  'response_json_schema',
] as const

const readNeeds = needsReader({
  tools: ['tools'],
  formats: ['generationConfig', 'generation_config'],
  asksSchema: (config) => SCHEMAS.some((name) => isRecord(config[name])),
  contents: ['contents', 'systemInstruction', 'system_instruction'],
  mediumOf: (part) => {
    const data = part['inlineData'] ?? part['inline_data'] ?? part['fileData'] ?? part['file_data']
    return isRecord(data) ? mediumOfType(data['mimeType'] ?? data['mime_type']) : null
  },
  mayHoldMedia: (body) => boundTextInput(body, MEDIA) === null,
})

const SYSTEM = ['systemInstruction', 'system_instruction'] as const
/** A count may have a whole request inside. */
const INSIDE = ['', 'generateContentRequest.', 'generate_content_request.'] as const

const findTexts = textsFinder({
  members: [...SYSTEM, 'contents', 'generateContentRequest', 'generate_content_request'],
  own: new Set(INSIDE.map((outer) => `${outer}contents.parts.text`)),
  others: new Set(
    INSIDE.flatMap((outer) =>
      SYSTEM.flatMap((name) => [`${outer}${name}.parts.text`, outer + name]),
    ),
  ),
  role: 'contents.role',
  // Contents without a role are the user's.
  isUser: (role) => role === 'user' || role === null,
})

const askForSchema = schemaWriter({
  names: ['generationConfig', 'generation_config'],
  taken: [...SCHEMAS, 'responseMimeType', 'response_mime_type'],
  write: (schema) => `"responseMimeType":"application/json","responseJsonSchema":${schema}`,
})

function mediumOfType(mimeType: unknown): 'vision' | 'audio' | 'documents' {
  const type = typeof mimeType === 'string' ? mimeType.toLowerCase() : ''
  if (type.startsWith('image/') || type.startsWith('video/')) return 'vision'
  return type.startsWith('audio/') ? 'audio' : 'documents'
}

function generate(version: string): ProtocolEndpoint {
  return {
    endpoint: 'gemini',
    method: 'POST',
    path: `/${version}/models/{model}:generateContent`,
    query: '',
    streams: false,
    carriesDocuments: true,
    billed: true,
    translated: true,
    framing: 'sse',
    readEnvelope: (body, maxDepth, model = '') =>
      readGenerateEnvelope(body, maxDepth, { model, stream: false }),
    boundInput: (body) => boundTextInput(body, MEDIA),
    readNeeds,
    readInput: readGeminiInput,
    findTexts,
    askForSchema,
    renameModel,
    capOutput,
    addPrompts,
    askForUsage: () => null,
    readAnswer,
    startTap: () => new GeminiTap(),
    startLengthStop: geminiLengthStop,
  }
}

/** Without `alt=sse` the vendor streams one JSON list, which nothing here can watch. */
function streamGenerate(version: string): ProtocolEndpoint {
  return {
    ...generate(version),
    path: `/${version}/models/{model}:streamGenerateContent`,
    query: '?alt=sse',
    streams: true,
    readEnvelope: (body, maxDepth, model = '') =>
      readGenerateEnvelope(body, maxDepth, { model, stream: true }),
  }
}

/**
 * The provider's own counter, or the gateway's where the target has none. It generates nothing and costs nothing, so no
 * limit but `requests` is charged.
 */
function countTokens(version: string): ProtocolEndpoint {
  return {
    ...generate(version),
    endpoint: 'count_tokens',
    path: `/${version}/models/{model}:countTokens`,
    billed: false,
    translated: false,
    readEnvelope: (body, maxDepth, model = '') => readCountEnvelope(body, maxDepth, model),
    capOutput: () => [],
    addPrompts: null,
    readAnswer: readCount,
    renderCount: (totalTokens) => JSON.stringify({ totalTokens }),
  }
}

export const GENERATE: ProtocolEndpoint = generate('v1beta')
export const STREAM_GENERATE: ProtocolEndpoint = streamGenerate('v1beta')

/** The newer official client posts to `/v1`, older ones and most others to `/v1beta`. */
export const GEMINI_ENDPOINTS: readonly ProtocolEndpoint[] = [
  GENERATE,
  STREAM_GENERATE,
  countTokens('v1beta'),
  generate('v1'),
  streamGenerate('v1'),
  countTokens('v1'),
]

function readAnswer(body: Buffer): AnswerFacts | null {
  const answer = parseAnswer(body)
  if (answer === null) return null
  const answered = Array.isArray(answer['candidates']) || isRecord(answer['promptFeedback'])
  return {
    usage: withSearches(readUsage(answer['usageMetadata']), answer),
    servedModel: textOrNull(answer['modelVersion']),
    text: () => readCandidateText(answer),
    failed: isRecord(answer['error']) || !answered,
  }
}

/** Searches are billed apart from tokens. */
function withSearches(usage: Usage, answer: Readonly<Record<string, unknown>>): Usage {
  const { candidates } = answer
  let searches: number | null = null
  for (const candidate of Array.isArray(candidates) ? candidates : []) {
    const grounding: unknown = isRecord(candidate) ? candidate['groundingMetadata'] : null
    const queries = isRecord(grounding) ? grounding['webSearchQueries'] : null
    if (Array.isArray(queries)) searches = (searches ?? 0) + queries.length
  }
  return searches === null ? usage : { ...usage, serverToolCalls: searches }
}

function readCount(body: Buffer): AnswerFacts | null {
  const answer = parseAnswer(body)
  if (answer === null) return null
  return {
    usage: NO_USAGE,
    servedModel: null,
    text: () => '',
    failed: isRecord(answer['error']) || answer['totalTokens'] === undefined,
  }
}
