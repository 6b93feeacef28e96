import type { Protocol } from '../../contracts/protocol.ts'
import { GEMINI_DIALECT } from './dialect.ts'
import { renderError, renderStreamError } from './error.ts'
import { GEMINI_ENDPOINTS } from './generate.ts'
import { MODEL_LIST } from './model-list.ts'
import { renderModel, renderModels } from './models.ts'

/** Google's Gemini API, at Google AI Studio and on Vertex AI. */
export const GEMINI: Protocol = {
  id: 'gemini',
  endpoints: GEMINI_ENDPOINTS,
  dialect: GEMINI_DIALECT,
  marks: ['x-goog-api-key', 'x-goog-api-client'],
  credentialQuery: 'key',
  /** Google's servers take headers, credentials and payers from queries too; nothing but `alt`, which is fixed, is needed. */
  forwardedQuery: [],
  modelsPath: '/v1beta/models',
  /** `x-goog-user-project` stays here: it would bill a project of the client's choice on the operator's credential. */
  forwardedHeaders: ['x-goog-api-client'],
  renderError,
  renderStreamError,
  /** An empty event. Google's client for Python takes every line that is neither empty nor data for JSON. */
  keepAliveFrame: '\n\n',
  /** Google states no limits in headers; when to come back stands in the error. */
  limitHeaders: () => [],
  renderModels,
  renderModel,
  modelList: MODEL_LIST,
  requestIdHeader: 'x-request-id',
}
