import type { ProviderFacts } from '../../contracts/provider.ts'
import { localServer } from '../openai-compatible.ts'

/**
 * LM Studio. Address from the Tokenomics study (27 providers). Newer versions also speak Messages under the same address; from knowledge.
 */
export const lmstudio: ProviderFacts = localServer({
  id: 'lmstudio',
  title: 'LM Studio',
  baseUrl: 'http://localhost:1234',
  protocols: ['openai-chat', 'anthropic-messages'],
  models: [],
})
