import type { ProviderFacts } from '../../contracts/provider.ts'
import { openaiCompatible } from '../openai-compatible.ts'

/**
 * Perplexity. It ended chat completions on 2026-09-27 in favour of its Agent API, which speaks OpenAI Responses
 * (github.com/vercel/ai release @ai-sdk/perplexity@3.1.0 and docs.stigg.io, read 2026-11-21).
 */
export const perplexity: ProviderFacts = openaiCompatible({
  id: 'perplexity',
  title: 'Perplexity',
  baseUrl: 'https://api.perplexity.ai',
  protocols: ['openai-responses'],
  unavailable:
    'it ended chat completions in September 2026; its Responses API is not built in this version',
  models: ['perplexity/sonar'],
})
