import type { Envelope } from '../../contracts/envelope.ts'
import type { InputParts } from '../../contracts/protocol.ts'
import { isRecord } from '../../lib/is-record.ts'

/** Per message and per reply, as OpenAI's counting guide gives them; names and roles are inside these. */
const MESSAGE_TOKENS = 4
const REPLY_TOKENS = 3
/** Upper bound of the scaffolding around one tool definition. */
const TOOL_TOKENS = 16
/** A 2048 × 768 image at high detail: 85 + 8 tiles × 170. */
const IMAGE_TOKENS = 1445
/** The same image on gpt-4o-mini: 2833 + 8 × 5667. */
const MINI_IMAGE_TOKENS = 48_169
/** Least bytes of decoded audio per token: 8 kbit/s speech at 10 tokens a second. */
const AUDIO_BYTES_PER_TOKEN = 100

type Draft = { texts: string[]; overheadTokens: number; mediaTokens: number; imageTokens: number }

/**
 * Every text of a chat request that the model reads, and an upper bound for what is not text.
 *
 * @see https://platform.openai.com/docs/guides/images-vision (tile formula; from general knowledge, not read live)
 */
export function readChatInput(envelope: Envelope): InputParts {
  const draft: Draft = {
    texts: [],
    overheadTokens: REPLY_TOKENS,
    mediaTokens: 0,
    imageTokens: envelope.model.includes('4o-mini') ? MINI_IMAGE_TOKENS : IMAGE_TOKENS,
  }
  const request = envelope.values()
  for (const message of asList(request['messages'])) addMessage(draft, message)
  for (const tool of [...asList(request['tools']), ...asList(request['functions'])]) {
    draft.texts.push(JSON.stringify(tool))
    draft.overheadTokens += TOOL_TOKENS
  }
  for (const name of ['response_format', 'tool_choice', 'prediction']) {
    if (isRecord(request[name])) draft.texts.push(JSON.stringify(request[name]))
  }
  return draft
}

function addMessage(draft: Draft, message: unknown): void {
  if (!isRecord(message)) return
  draft.overheadTokens += MESSAGE_TOKENS
  addContent(draft, message['content'])
  if (typeof message['name'] === 'string') draft.texts.push(message['name'])
  if (typeof message['refusal'] === 'string') draft.texts.push(message['refusal'])
  if (typeof message['reasoning_content'] === 'string')
    draft.texts.push(message['reasoning_content'])
  for (const call of asList(message['tool_calls'])) {
    draft.texts.push(JSON.stringify(call))
    draft.overheadTokens += TOOL_TOKENS
  }
  if (isRecord(message['function_call'])) draft.texts.push(JSON.stringify(message['function_call']))
}

function addContent(draft: Draft, content: unknown): void {
  if (typeof content === 'string') draft.texts.push(content)
  for (const part of asList(content)) if (isRecord(part)) addPart(draft, part)
}

function addPart(draft: Draft, part: Record<string, unknown>): void {
  if (part['type'] === 'image_url') draft.mediaTokens += draft.imageTokens
  else if (part['type'] === 'input_audio') {
    const audio = isRecord(part['input_audio']) ? part['input_audio']['data'] : ''
    draft.mediaTokens += Math.ceil(String(audio).length / AUDIO_BYTES_PER_TOKEN)
  } else if (typeof part['text'] === 'string') draft.texts.push(part['text'])
  else draft.texts.push(JSON.stringify(part))
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
