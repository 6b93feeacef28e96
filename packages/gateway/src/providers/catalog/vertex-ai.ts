import type { ProviderFacts } from '../../contracts/provider.ts'
import { openaiCompatible } from '../openai-compatible.ts'

/**
 * Google Vertex AI. Host and path from the Tokenomics study (27 providers); models from the price snapshot of 2026-11-21. Its OAuth tokens live for an hour, so a fixed one is of little use.
 */
export const vertexAi: ProviderFacts = openaiCompatible({
  id: 'vertex_ai',
  title: 'Google Vertex AI',
  baseUrl: 'https://{location}-aiplatform.googleapis.com',
  protocols: ['gemini'],
  auth: { kind: 'unavailable', name: 'oauth' },
  credentialEnv: 'VERTEX_AI_TOKEN',
  paths: {
    chat: '/v1/projects/{project}/locations/{location}/publishers/google/models/{model}:generateContent',
  },
  unavailable: 'the gemini protocol is not built in this version',
  models: ['gemini-4-argon', 'gemini-3.8-flash', 'gemini-2.5-pro'],
})
