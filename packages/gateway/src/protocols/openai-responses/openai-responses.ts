import type { Protocol } from '../../contracts/protocol.ts'
import { renderError } from '../openai-wire/error.ts'
import { limitHeaders } from '../openai-wire/limit-headers.ts'
import { RATE_HEADERS, RETRY_COUNT_HEADER } from '../openai-wire/rate-headers.ts'
import {
  FORWARDED_HEADERS,
  MODEL_LIST,
  renderModel,
  renderModels,
  WITHHELD_HEADERS,
} from '../openai-wire/models.ts'
import { RESPONSES_DIALECT } from './dialect.ts'
import { renderStreamError } from './error.ts'
import { RESPONSES } from './responses.ts'

/** OpenAI's Responses, and every vendor that speaks them. */
export const OPENAI_RESPONSES: Protocol = {
  id: 'openai-responses',
  endpoints: [RESPONSES],
  dialect: RESPONSES_DIALECT,
  marks: [],
  // Codex tells its session and itself in headers of its own; from general knowledge.
  forwardedHeaders: [
    ...FORWARDED_HEADERS,
    'session_id',
    'conversation_id',
    'originator',
    'x-codex-*',
  ],
  withheldHeaders: WITHHELD_HEADERS,
  renderError,
  renderStreamError,
  keepAliveFrame: ': keep-alive\n\n',
  limitHeaders,
  renderModels,
  renderModel,
  modelList: MODEL_LIST,
  rateHeaders: RATE_HEADERS,
  retryCountHeader: RETRY_COUNT_HEADER,
  requestIdHeader: 'x-request-id',
}
