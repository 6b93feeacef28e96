import type { ProviderFacts } from '../../contracts/provider.ts'
import { openaiCompatible } from '../openai-compatible.ts'

/**
 * Anyscale Endpoints. Address from the Tokenomics study (27 providers). Its shared models were withdrawn on 2024-08-01; what is left are the customer's own
 * deployments (docs.anyscale.com/endpoints, read 2026-11-21).
 */
export const anyscale: ProviderFacts = openaiCompatible({
  id: 'anyscale',
  title: 'Anyscale Endpoints',
  baseUrl: 'https://api.endpoints.anyscale.com/v1',
  unavailable:
    'its shared models were withdrawn in August 2024; add your deployment as an own provider with base_url',
  models: [],
})
