import type { Envelope } from '../../contracts/envelope.ts'
import type { InputParts } from '../../contracts/protocol.ts'
import { isRecord } from '../../lib/is-record.ts'
import { repeated, toCamel } from './spelling.ts'

const CONTENT_TOKENS = 8
/** Upper bound of the scaffolding around one function. */
const TOOL_TOKENS = 16
/** An image of 3072 × 3072, the most before it is scaled down: 16 tiles and the whole, 258 tokens each. */
const IMAGE_TOKENS = 4386
/** What a document costs besides its bytes, which are a bound for its text, pages, seconds and frames. */
const DOCUMENT_TOKENS = 4386
/** A file or a cache that is only named may fill the whole context. */
const UNSEEN_TOKENS = 1_048_576

type Draft = { texts: string[]; overheadTokens: number; mediaTokens: number }

/**
 * Every text of a request that the model reads, and an upper bound for what is not text.
 *
 * @see https://ai.google.dev/gemini-api/docs/tokens (from general knowledge, not read live)
 */
export function readGeminiInput(envelope: Envelope): InputParts {
  const draft: Draft = { texts: [], overheadTokens: CONTENT_TOKENS, mediaTokens: 0 }
  addRequest(draft, envelope.values())
  return draft
}

function addRequest(draft: Draft, request: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(request)) READERS.get(toCamel(name))?.(draft, value)
}

const READERS: ReadonlyMap<string, (draft: Draft, value: unknown) => void> = new Map([
  ['contents', addContents],
  ['systemInstruction', addContents],
  ['tools', addTools],
  ['generationConfig', addSchema],
  ['cachedContent', addUnseen],
  [
    'generateContentRequest',
    (draft: Draft, value: unknown) => {
      if (isRecord(value)) addRequest(draft, value)
    },
  ],
])

function addContents(draft: Draft, value: unknown): void {
  for (const content of repeated(value)) {
    draft.overheadTokens += CONTENT_TOKENS
    if (!isRecord(content)) continue
    for (const part of repeated(content['parts'])) if (isRecord(part)) addPart(draft, part)
  }
}

function addPart(draft: Draft, part: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(part)) {
    const add = PARTS.get(toCamel(name))
    if (add !== undefined) add(draft, value)
    else if (typeof value === 'string') draft.texts.push(value)
    else if (isRecord(value)) draft.texts.push(JSON.stringify(value))
  }
}

const PARTS: ReadonlyMap<string, (draft: Draft, value: unknown) => void> = new Map([
  ['inlineData', addData],
  ['fileData', addFile],
  ['functionResponse', addResponse],
  // Opaque to us, and not part of the text that the model reads.
  ['thoughtSignature', () => {}],
])

function addData(draft: Draft, value: unknown): void {
  if (!isRecord(value)) return
  const { data } = value
  const sizeBytes = typeof data === 'string' ? data.length : 0
  draft.mediaTokens += isImage(value) ? IMAGE_TOKENS : DOCUMENT_TOKENS + sizeBytes
}

function addFile(draft: Draft, value: unknown): void {
  draft.mediaTokens += isRecord(value) && isImage(value) ? IMAGE_TOKENS : UNSEEN_TOKENS
}

/** A result may hold media of its own. */
function addResponse(draft: Draft, value: unknown): void {
  if (!isRecord(value)) return
  draft.overheadTokens += TOOL_TOKENS
  const { parts, ...rest } = value
  draft.texts.push(JSON.stringify(rest))
  for (const part of repeated(parts)) if (isRecord(part)) addPart(draft, part)
}

function addTools(draft: Draft, value: unknown): void {
  for (const tool of repeated(value)) {
    draft.texts.push(JSON.stringify(tool))
    if (!isRecord(tool)) continue
    for (const declared of Object.values(tool)) {
      draft.overheadTokens += TOOL_TOKENS * Math.max(1, repeated(declared).length)
    }
  }
}

/** A schema of the answer is read by the model; numbers beside it do not matter. */
function addSchema(draft: Draft, value: unknown): void {
  if (isRecord(value)) draft.texts.push(JSON.stringify(value))
}

function addUnseen(draft: Draft, value: unknown): void {
  if (typeof value === 'string' && value !== '') draft.mediaTokens += UNSEEN_TOKENS
}

function isImage(blob: Record<string, unknown>): boolean {
  const type = blob['mimeType'] ?? blob['mime_type']
  return typeof type === 'string' && /^image\//i.test(type)
}
