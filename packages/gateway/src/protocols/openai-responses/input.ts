import type { Envelope } from '../../contracts/envelope.ts'
import type { InputParts } from '../../contracts/protocol.ts'
import { isRecord } from '../../lib/is-record.ts'
import { asList, isStated, type Members } from '../openai-wire/values.ts'

/** Per item and per reply, as OpenAI's counting guide gives them for messages. */
const ITEM_TOKENS = 4
const REPLY_TOKENS = 3
/** Upper bound of the scaffolding around one tool definition. */
const TOOL_TOKENS = 16
/** A 2048 × 768 image at high detail: 85 + 8 tiles × 170. */
const IMAGE_TOKENS = 1445
/** The same image on gpt-4o-mini: 2833 + 8 × 5667. */
const MINI_IMAGE_TOKENS = 48_169
/** Least bytes of decoded audio per token: 8 kbit/s speech at 10 tokens a second. */
const AUDIO_BYTES_PER_TOKEN = 100
/** Members whose text is no input: ids of the provider's and opaque state that is counted apart. */
const OPAQUE_MEMBERS: ReadonlySet<string> = new Set(['type', 'id', 'status', 'role'])
/**
 * What a request may bring along that only the provider holds: a stored answer, conversation or prompt. The input limit of
 * the models with the widest window of the GPT-5 family, from general knowledge; the true count comes with the usage.
 */
const STORED_TOKENS = 272_000
/** Members that name something stored. */
export const STORED_MEMBERS = ['previous_response_id', 'conversation', 'prompt'] as const

type Draft = { texts: string[]; overheadTokens: number; mediaTokens: number; imageTokens: number }

/**
 * Every text of a request that the model reads, and an upper bound for what is not text.
 *
 * @see https://platform.openai.com/docs/guides/images-vision (tile formula; from general knowledge, not read live)
 */
export function readResponsesInput(envelope: Envelope): InputParts {
  const draft: Draft = {
    texts: [],
    overheadTokens: REPLY_TOKENS,
    mediaTokens: 0,
    imageTokens: envelope.model.includes('4o-mini') ? MINI_IMAGE_TOKENS : IMAGE_TOKENS,
  }
  const request = envelope.values()
  if (typeof request['instructions'] === 'string') addText(draft, request['instructions'])
  addContent(draft, request['input'])
  for (const tool of asList(request['tools'])) {
    draft.texts.push(JSON.stringify(tool))
    draft.overheadTokens += TOOL_TOKENS
  }
  for (const name of ['text', 'tool_choice', 'prompt']) {
    if (isRecord(request[name])) draft.texts.push(JSON.stringify(request[name]))
  }
  if (STORED_MEMBERS.some((name) => isStated(request[name]))) draft.overheadTokens += STORED_TOKENS
  return draft
}

function addText(draft: Draft, text: string): void {
  draft.texts.push(text)
  draft.overheadTokens += ITEM_TOKENS
}

/** A string, or a list of items or of parts. Results of tools hold such lists too. */
function addContent(draft: Draft, content: unknown): void {
  if (typeof content === 'string') addText(draft, content)
  for (const item of asList(content)) {
    draft.overheadTokens += ITEM_TOKENS
    if (isRecord(item)) addItem(draft, item)
  }
}

function addItem(draft: Draft, item: Members): void {
  const { type } = item
  if (type === 'input_image' || type === 'computer_screenshot') {
    draft.mediaTokens += draft.imageTokens
    return
  }
  if (type === 'input_audio') {
    const audio = isRecord(item['input_audio']) ? item['input_audio']['data'] : ''
    draft.mediaTokens += Math.ceil(String(audio).length / AUDIO_BYTES_PER_TOKEN)
    return
  }
  for (const [name, value] of Object.entries(item)) {
    if (OPAQUE_MEMBERS.has(name)) continue
    if (name === 'content' || name === 'output' || name === 'summary') addContent(draft, value)
    else if (typeof value === 'string') draft.texts.push(value)
    else if (isRecord(value) || Array.isArray(value)) draft.texts.push(JSON.stringify(value))
  }
}
