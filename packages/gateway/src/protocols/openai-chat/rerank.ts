import type { Envelope } from '../../contracts/envelope.ts'
import type { AnswerFacts, InputParts, ProtocolEndpoint } from '../../contracts/protocol.ts'
import { NO_USAGE, type Usage } from '../../contracts/usage.ts'
import { isRecord } from '../../lib/is-record.ts'
import { renameModel } from '../edits.ts'
import { parseAnswer, textOrNull } from '../read-answer.ts'
import { invalidField, parseBody, readJsonBody, readModel } from '../read-body.ts'
import { tokenCount } from '../token-count.ts'
import { ChatTap } from './chat-tap.ts'

/** Separators around each pair of query and document, at most. */
const PAIR_TOKENS = 8

/**
 * Orders documents by a query, in the shape that Cohere began and Jina, vLLM, Together and others share.
 *
 * @see https://docs.cohere.com/reference/rerank, https://docs.vllm.ai (rerank API; both from general knowledge)
 */
export const RERANK: ProtocolEndpoint = {
  endpoint: 'rerank',
  method: 'POST',
  path: '/v1/rerank',
  query: '',
  streams: false,
  carriesDocuments: true,
  billed: true,
  translated: false,
  framing: 'sse',
  readEnvelope,
  boundInput: () => null,
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
  for (const name of ['query', 'documents']) {
    if (!body.members.has(name)) throw invalidField(name, 'is required.')
  }
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

/** The query is read again beside every document. */
function readInput(envelope: Envelope): InputParts {
  const { query, documents } = envelope.values()
  const texts = (Array.isArray(documents) ? documents : [documents]).map(textOf)
  const queryText = textOf(query)
  const perPair = Buffer.byteLength(queryText) + PAIR_TOKENS
  return { texts: [queryText, ...texts], overheadTokens: texts.length * perPair, mediaTokens: 0 }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? '')
}

function readAnswer(body: Buffer): AnswerFacts | null {
  const answer = parseAnswer(body)
  if (answer === null) return null
  const ranked = Array.isArray(answer['results']) || Array.isArray(answer['data'])
  return {
    usage: readRerankUsage(answer),
    servedModel: textOrNull(answer['model']),
    text: () => '',
    failed: (answer['error'] ?? null) !== null || !ranked,
  }
}

/** Cohere bills by searches, which are not tokens; Jina, Voyage and vLLM tell one total. */
function readRerankUsage(answer: Readonly<Record<string, unknown>>): Usage {
  const usage = isRecord(answer['usage']) ? answer['usage'] : {}
  const meta = isRecord(answer['meta']) ? answer['meta'] : {}
  const billed = isRecord(meta['billed_units']) ? meta['billed_units'] : {}
  const inputTokens =
    tokenCount(usage['total_tokens']) ??
    tokenCount(usage['prompt_tokens']) ??
    tokenCount(billed['total_tokens']) ??
    tokenCount(billed['input_tokens'])
  return { ...NO_USAGE, inputTokens, outputTokens: 0 }
}
