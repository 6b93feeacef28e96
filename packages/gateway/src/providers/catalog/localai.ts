import type { ProviderFacts } from '../../contracts/provider.ts'
import { localServer } from '../openai-compatible.ts'

/**
 * LocalAI. Address from the Tokenomics study (27 providers).
 */
export const localai: ProviderFacts = localServer({
  id: 'localai',
  title: 'LocalAI',
  baseUrl: 'http://localhost:8081',
  models: [],
})
