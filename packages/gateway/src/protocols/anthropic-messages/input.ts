import type { Envelope } from '../../contracts/envelope.ts'
import type { InputParts } from '../../contracts/protocol.ts'
import { isRecord } from '../../lib/is-record.ts'

const MESSAGE_TOKENS = 8
/** The system prompt that tool use adds: at most 804 tokens in the vendor's table. */
const TOOL_PROMPT_TOKENS = 900
const TOOL_TOKENS = 16
/** Images are scaled to fit before they are read; the largest costs 4 784 tokens on high-resolution models. */
const IMAGE_TOKENS = 4784
/** One page of a document is text and an image; a base64 byte is a bound for the text. */
const DOCUMENT_TOKENS = 4784

type Draft = { texts: string[]; overheadTokens: number; mediaTokens: number }

/**
 * Every text of a Messages request that the model reads, and an upper bound for what is not text.
 *
 * @see https://docs.anthropic.com/en/docs/build-with-claude/vision (from general knowledge, not read live)
 */
export function readMessagesInput(envelope: Envelope): InputParts {
  const draft: Draft = { texts: [], overheadTokens: MESSAGE_TOKENS, mediaTokens: 0 }
  const request = envelope.values()
  addContent(draft, request['system'])
  for (const message of asList(request['messages'])) {
    draft.overheadTokens += MESSAGE_TOKENS
    if (isRecord(message)) addContent(draft, message['content'])
  }
  const tools = asList(request['tools'])
  if (tools.length > 0) draft.overheadTokens += TOOL_PROMPT_TOKENS
  for (const tool of tools) {
    draft.texts.push(JSON.stringify(tool))
    draft.overheadTokens += TOOL_TOKENS
  }
  for (const name of ['output_config', 'output_format', 'mcp_servers']) {
    if (request[name] !== undefined) draft.texts.push(JSON.stringify(request[name]))
  }
  return draft
}

function addContent(draft: Draft, content: unknown): void {
  if (typeof content === 'string') draft.texts.push(content)
  for (const block of asList(content)) if (isRecord(block)) addBlock(draft, block)
}

function addBlock(draft: Draft, block: Record<string, unknown>): void {
  switch (block['type']) {
    case 'text':
      if (typeof block['text'] === 'string') draft.texts.push(block['text'])
      return
    case 'image':
      draft.mediaTokens += IMAGE_TOKENS
      return
    case 'document': {
      const source = isRecord(block['source']) ? block['source'] : {}
      draft.texts.push(JSON.stringify({ ...block, source: null }))
      draft.mediaTokens += DOCUMENT_TOKENS + JSON.stringify(source).length
      return
    }
    case 'tool_result':
      draft.overheadTokens += TOOL_TOKENS
      addContent(draft, block['content'])
      return
    default:
      draft.texts.push(JSON.stringify(block))
  }
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
