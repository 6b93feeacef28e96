import type { Protocol } from '../../contracts/protocol.ts'
import { renderError } from '../openai-wire/error.ts'
import { limitHeaders } from '../openai-wire/limit-headers.ts'
import { FORWARDED_HEADERS, renderModel, renderModels } from '../openai-wire/models.ts'
import { CHAT } from './chat.ts'
import { CHAT_DIALECT } from './dialect.ts'
import { EMBEDDINGS } from './embeddings.ts'
import { renderStreamError } from './error.ts'

/** OpenAI's chat completions and embeddings, and every vendor that speaks them. */
export const OPENAI_CHAT: Protocol = {
  id: 'openai-chat',
  endpoints: [CHAT, EMBEDDINGS],
  dialect: CHAT_DIALECT,
  marks: [],
  forwardedHeaders: FORWARDED_HEADERS,
  renderError,
  renderStreamError,
  keepAliveFrame: ': keep-alive\n\n',
  limitHeaders,
  renderModels,
  renderModel,
  requestIdHeader: 'x-request-id',
}
