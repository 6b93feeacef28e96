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
import { CHAT } from './chat.ts'
import { COMPLETIONS } from './completions.ts'
import { CHAT_DIALECT } from './dialect.ts'
import { EMBEDDINGS } from './embeddings.ts'
import { renderStreamError } from './error.ts'
import { IMAGE_EDITS, IMAGE_GENERATIONS, IMAGE_VARIATIONS } from './media/images.ts'
import { SPEECH } from './media/speech.ts'
import { TRANSCRIPTIONS, TRANSLATIONS } from './media/transcriptions.ts'
import { MODERATIONS } from './moderations.ts'
import { NATIVE_CHAT } from './native/native-chat.ts'
import { RERANK } from './rerank.ts'

/** OpenAI's chat completions and the endpoints beside them, and every vendor that speaks them. */
export const OPENAI_CHAT: Protocol = {
  id: 'openai-chat',
  endpoints: [
    CHAT,
    EMBEDDINGS,
    COMPLETIONS,
    MODERATIONS,
    IMAGE_GENERATIONS,
    IMAGE_EDITS,
    IMAGE_VARIATIONS,
    SPEECH,
    TRANSCRIPTIONS,
    TRANSLATIONS,
    RERANK,
  ],
  wrappers: [NATIVE_CHAT],
  dialect: CHAT_DIALECT,
  marks: [],
  forwardedHeaders: FORWARDED_HEADERS,
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
