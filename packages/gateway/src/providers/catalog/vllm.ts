import type { ProviderFacts } from '../../contracts/provider.ts'
import { localServer } from '../openai-compatible.ts'

/**
 * vLLM. Address from the Tokenomics study (27 providers). Newer versions also speak Messages under the same address; from knowledge.
 */
export const vllm: ProviderFacts = localServer({
  id: 'vllm',
  title: 'vLLM',
  baseUrl: 'http://localhost:8000',
  protocols: ['openai-chat', 'anthropic-messages'],
  models: [],
})
