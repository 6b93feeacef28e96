import type { ModelListing, Protocol } from '../../contracts/protocol.ts'
import { MESSAGES_DIALECT } from './dialect.ts'
import { renderError, renderStreamError } from './error.ts'
import { limitHeaders } from './limit-headers.ts'
import { MODEL_LIST } from './model-list.ts'
import { COUNT_TOKENS, MESSAGES } from './messages.ts'
import { RATE_HEADERS, RETRY_COUNT_HEADER } from './rate-headers.ts'

/** Anthropic's Messages, and every vendor that speaks it. */
export const ANTHROPIC_MESSAGES: Protocol = {
  id: 'anthropic-messages',
  endpoints: [MESSAGES, COUNT_TOKENS],
  dialect: MESSAGES_DIALECT,
  marks: ['anthropic-version', 'anthropic-beta'],
  forwardedHeaders: ['anthropic-*', 'x-stainless-*', 'x-claude-code-*', 'x-app'],
  renderError,
  renderStreamError,
  keepAliveFrame: 'event: ping\ndata: {"type":"ping"}\n\n',
  limitHeaders,
  renderModels,
  renderModel: (model) => JSON.stringify(toModel(model)),
  modelList: MODEL_LIST,
  rateHeaders: RATE_HEADERS,
  retryCountHeader: RETRY_COUNT_HEADER,
  requestIdHeader: 'request-id',
}

function renderModels(models: readonly ModelListing[]): string {
  return JSON.stringify({
    data: models.map(toModel),
    has_more: false,
    first_id: models[0]?.id ?? null,
    last_id: models.at(-1)?.id ?? null,
  })
}

function toModel(model: ModelListing): Record<string, unknown> {
  return {
    type: 'model',
    id: model.id,
    display_name: model.id,
    created_at: new Date(model.createdAtMs).toISOString(),
  }
}
