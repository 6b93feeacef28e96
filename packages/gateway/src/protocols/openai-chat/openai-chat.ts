import type { ModelListing, Protocol } from '../../contracts/protocol.ts'
import { CHAT } from './chat.ts'
import { CHAT_DIALECT } from './dialect.ts'
import { EMBEDDINGS } from './embeddings.ts'
import { renderError, renderStreamError } from './error.ts'
import { limitHeaders } from './limit-headers.ts'

/** OpenAI's chat completions and embeddings, and every vendor that speaks them. */
export const OPENAI_CHAT: Protocol = {
  id: 'openai-chat',
  endpoints: [CHAT, EMBEDDINGS],
  dialect: CHAT_DIALECT,
  marks: [],
  forwardedHeaders: [
    'openai-*',
    'x-stainless-*',
    'x-session-id',
    'x-conversation-id',
    'http-referer',
    'x-title',
  ],
  renderError,
  renderStreamError,
  keepAliveFrame: ': keep-alive\n\n',
  limitHeaders,
  renderModels: (models) => JSON.stringify({ object: 'list', data: models.map(toModel) }),
  renderModel: (model) => JSON.stringify(toModel(model)),
  requestIdHeader: 'x-request-id',
}

function toModel(model: ModelListing): Record<string, unknown> {
  return {
    id: model.id,
    object: 'model',
    created: Math.floor(model.createdAtMs / 1000),
    owned_by: model.ownedBy,
  }
}
