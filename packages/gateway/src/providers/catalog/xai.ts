import type { ProviderFacts } from '../../contracts/provider.ts'
import { openaiCompatible } from '../openai-compatible.ts'

/**
 * xAI. Address from the Tokenomics study (27 providers); models from the price snapshot of 2026-11-21.
 */
export const xai: ProviderFacts = openaiCompatible({
  id: 'xai',
  title: 'xAI',
  baseUrl: 'https://api.x.ai',
  models: ['grok-4.7', 'grok-4.6', 'grok-4.5', 'grok-4.3'],
})
