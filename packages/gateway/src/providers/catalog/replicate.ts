import type { ProviderFacts } from '../../contracts/provider.ts'
import { openaiCompatible } from '../openai-compatible.ts'

/**
 * Replicate. Address and key from the Tokenomics study (27 providers). It runs predictions, a protocol of its own.
 */
export const replicate: ProviderFacts = openaiCompatible({
  id: 'replicate',
  title: 'Replicate',
  baseUrl: 'https://api.replicate.com',
  protocols: ['replicate-predictions'],
  credentialEnv: 'REPLICATE_API_TOKEN',
  unavailable: 'the predictions protocol is not built in this version',
  models: [],
})
