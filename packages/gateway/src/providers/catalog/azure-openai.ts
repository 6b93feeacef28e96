import type { ProviderFacts } from '../../contracts/provider.ts'
import { openaiCompatible } from '../openai-compatible.ts'

/**
 * Azure OpenAI: the model of a target is the name of a deployment, and stands in the path.
 *
 * `params: { resource: … }` fills the host. 2024-10-21 is the latest stable data-plane version named by
 * learn.microsoft.com/azure/ai-services/openai/reference (read 2026-11-21); newer preview versions go under `query`.
 * The `api-key` header is from the Tokenomics study. Paths of images and audio are from knowledge. That the version takes `max_completion_tokens` for every model is from
 * knowledge.
 */
export const azureOpenai: ProviderFacts = openaiCompatible({
  id: 'azure_openai',
  title: 'Azure OpenAI',
  baseUrl: 'https://{resource}.openai.azure.com',
  auth: { kind: 'header', name: 'api-key' },
  baseUrlEnv: 'AZURE_OPENAI_ENDPOINT',
  query: { 'api-version': '2024-10-21' },
  paths: {
    chat: '/openai/deployments/{model}/chat/completions',
    embeddings: '/openai/deployments/{model}/embeddings',
    completions: '/openai/deployments/{model}/completions',
    '/v1/images/generations': '/openai/deployments/{model}/images/generations',
    '/v1/images/edits': '/openai/deployments/{model}/images/edits',
    '/v1/audio/speech': '/openai/deployments/{model}/audio/speech',
    '/v1/audio/transcriptions': '/openai/deployments/{model}/audio/transcriptions',
    '/v1/audio/translations': '/openai/deployments/{model}/audio/translations',
  },
  outputCapMember: 'max_completion_tokens',
  models: ['gpt-4.1', 'gpt-4o', 'gpt-4o-mini', 'o4-mini', 'text-embedding-3-small'],
})
