import type { ProviderFacts } from '../../contracts/provider.ts'
import { openaiCompatible } from '../openai-compatible.ts'

const MODELS = '/v1/projects/{project}/locations/{region}/publishers/google/models/{model}'
const METHODS = ['generateContent', 'streamGenerateContent', 'countTokens'] as const

/**
 * Google Vertex AI. Host and path from the Tokenomics study (27 providers); hosts of `global`, `us` and `eu` from Google's
 * client `@google/genai` 3.1 (read 2026-11-21); models from the price snapshot of 2026-11-21.
 *
 * The credential is an access token, or better the JSON of a service account: tokens live for an hour.
 */
export const vertexAi: ProviderFacts = openaiCompatible({
  id: 'vertex_ai',
  title: 'Google Vertex AI',
  baseUrl: 'https://{region}-aiplatform.googleapis.com',
  baseUrls: {
    'region=global': 'https://aiplatform.googleapis.com',
    'region=us': 'https://aiplatform.us.rep.googleapis.com',
    'region=eu': 'https://aiplatform.eu.rep.googleapis.com',
  },
  protocols: ['gemini'],
  auth: { kind: 'google-oauth', scope: 'https://www.googleapis.com/auth/cloud-platform' },
  credentialEnv: 'VERTEX_AI_TOKEN',
  credentialFileEnv: 'GOOGLE_APPLICATION_CREDENTIALS',
  paths: Object.fromEntries(
    METHODS.flatMap((method) =>
      ['v1beta', 'v1'].map((version) => [
        `/${version}/models/{model}:${method}`,
        `${MODELS}:${method}`,
      ]),
    ),
  ),
  models: ['gemini-4-argon', 'gemini-3.8-flash', 'gemini-2.5-pro'],
})
