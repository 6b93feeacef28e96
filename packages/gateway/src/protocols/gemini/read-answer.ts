import type {
  Block,
  Citation,
  ConversationAnswer,
  TextBlock,
} from '../../contracts/conversation.ts'
import { isRecord } from '../../lib/is-record.ts'
import { parseAnswer, textOrNull } from '../read-answer.ts'
import { readCitations } from './citations.ts'
import { codeText, resultText } from './code-parts.ts'
import { isFinish, stopOf } from './finish-reasons.ts'
import type { Members } from './members.ts'
import { readUsage } from './usage.ts'

/** Null when the body is no answer. Only the first candidate is read: more than one cannot be asked for here. */
export function readAnswer(body: Buffer): ConversationAnswer | null {
  const answer = parseAnswer(body)
  if (answer === null) return null
  const { candidates, promptFeedback } = answer
  const first: unknown = Array.isArray(candidates) ? candidates[0] : undefined
  if (!isRecord(first) && !isRecord(promptFeedback)) return null
  const candidate = isRecord(first) ? first : {}
  const id = textOrNull(answer['responseId']) ?? ''
  const usage = readUsage(answer['usageMetadata'])
  const blocks = readBlocks(candidate, id)
  const metadata = answer['usageMetadata']
  return {
    id,
    model: textOrNull(answer['modelVersion']) ?? '',
    blocks,
    stop: isBlocked(promptFeedback, first)
      ? 'content_filter'
      : stopOf(
          candidate['finishReason'],
          blocks.some(({ type }) => type === 'tool_call'),
        ),
    stopSequence: null,
    usage,
    serviceTier: isRecord(metadata) ? textOrNull(metadata['serviceTier']) : null,
  }
}

/** A blocked prompt has no candidate at all. */
function isBlocked(feedback: unknown, candidate: unknown): boolean {
  return candidate === undefined && isRecord(feedback) && isFinish(feedback['blockReason'])
}

function readBlocks(candidate: Members, id: string): readonly Block[] {
  const { content } = candidate
  const parts = isRecord(content) && Array.isArray(content['parts']) ? content['parts'] : []
  const blocks: Block[] = []
  const textAt = new Map<number, number>()
  for (const [i, part] of parts.entries()) {
    if (!isRecord(part)) continue
    if (isSpoken(part)) textAt.set(i, blocks.length)
    readPart(blocks, part, id)
  }
  addCitations(blocks, candidate, textAt)
  return blocks
}

function isSpoken(part: Members): boolean {
  return typeof part['text'] === 'string' && part['text'] !== '' && part['thought'] !== true
}

function addCitations(
  blocks: Block[],
  candidate: Members,
  textAt: ReadonlyMap<number, number>,
): void {
  const textOf = (part: number): string => textBlockAt(blocks, textAt.get(part))?.text ?? ''
  const byPart = new Map<number, Citation[]>()
  for (const { part, citation } of readCitations(candidate, textOf)) {
    const known = byPart.get(part)
    if (known === undefined) byPart.set(part, [citation])
    else known.push(citation)
  }
  for (const [part, citations] of byPart) {
    const at = textAt.get(part)
    const block = textBlockAt(blocks, at)
    if (block !== null && at !== undefined) blocks[at] = { ...block, citations }
  }
}

function textBlockAt(blocks: readonly Block[], at: number | undefined): TextBlock | null {
  const block = at === undefined ? undefined : blocks[at]
  return block?.type === 'text' ? block : null
}

function readPart(blocks: Block[], part: Members, id: string): void {
  const { text, functionCall, inlineData, executableCode, codeExecutionResult } = part
  if (typeof text === 'string' || part['thought'] === true) readText(blocks, part)
  else if (isRecord(functionCall)) {
    blocks.push({
      type: 'tool_call',
      id: textOrNull(functionCall['id']) || callId(id, blocks.length),
      name: textOrNull(functionCall['name']) ?? '',
      input: JSON.stringify(functionCall['args'] ?? {}),
      custom: false,
      signature: signatureOf(part),
      cache: null,
    })
  } else if (isRecord(inlineData)) readMedia(blocks, inlineData)
  else if (isRecord(executableCode)) blocks.push(textBlock(codeText(executableCode)))
  else if (isRecord(codeExecutionResult)) blocks.push(textBlock(resultText(codeExecutionResult)))
}

/** A signature on a text becomes a thought without words behind it; see read-contents.ts. */
function readText(blocks: Block[], part: Members): void {
  const text = textOrNull(part['text'])
  const signature = signatureOf(part)
  if (part['thought'] === true) {
    if ((text ?? '') === '' && signature === null) return
    blocks.push({ type: 'thinking', text: text ?? '', signature, redacted: text === null })
    return
  }
  if (text !== null && text !== '') blocks.push(textBlock(text))
  if (signature !== null) blocks.push({ type: 'thinking', text: '', signature, redacted: false })
}

/** Images are all that other protocols can show of an answer's media. */
function readMedia(blocks: Block[], data: Members): void {
  const mediaType = textOrNull(data['mimeType']) ?? ''
  const bytes = textOrNull(data['data'])
  if (bytes === null || !mediaType.startsWith('image/')) return
  const source = { kind: 'base64', mediaType, data: bytes } as const
  blocks.push({ type: 'image', source, detail: null, cache: null })
}

export function signatureOf(part: Members): { value: string; origin: null } | null {
  const value = part['thoughtSignature']
  return typeof value === 'string' && value !== '' ? { value, origin: null } : null
}

/** Ids are optional here and needed elsewhere. The answer's own id makes them differ between answers. */
export function callId(answerId: string, at: number): string {
  const own = answerId.replace(/[^a-zA-Z0-9_-]/g, '').slice(0, 24)
  return `call_${own}_${at}`
}

function textBlock(text: string): TextBlock {
  return { type: 'text', text, citations: [], cache: null }
}
