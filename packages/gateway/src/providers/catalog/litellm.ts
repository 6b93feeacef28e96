import type { ProviderFacts } from '../../contracts/provider.ts'
import { localServer } from '../openai-compatible.ts'

/**
 * A LiteLLM proxy. Address from the Tokenomics study (27 providers). Newer versions also speak Messages under the same address; from knowledge.
 */
export const litellm: ProviderFacts = localServer({
  id: 'litellm',
  title: 'LiteLLM proxy',
  baseUrl: 'http://localhost:4000',
  protocols: ['openai-chat', 'anthropic-messages'],
  models: [],
})
