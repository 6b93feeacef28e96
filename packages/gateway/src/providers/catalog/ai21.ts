import type { ProviderFacts } from '../../contracts/provider.ts'
import { openaiCompatible } from '../openai-compatible.ts'

/**
 * AI21 Labs. Address from the Tokenomics study (27 providers); models from knowledge.
 */
export const ai21: ProviderFacts = openaiCompatible({
  id: 'ai21',
  title: 'AI21 Labs',
  baseUrl: 'https://api.ai21.com/studio/v1',
  models: ['jamba-large', 'jamba-mini'],
})
