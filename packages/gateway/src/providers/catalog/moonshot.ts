import type { ProviderFacts } from '../../contracts/provider.ts'
import { openaiCompatible } from '../openai-compatible.ts'

/**
 * Moonshot AI. Address from the Tokenomics study (27 providers); models from the price snapshot of 2026-11-21.
 */
export const moonshot: ProviderFacts = openaiCompatible({
  id: 'moonshot',
  title: 'Moonshot AI',
  baseUrl: 'https://api.moonshot.ai/v1',
  models: ['kimi-k3.1-pro', 'kimi-k3', 'kimi-k2.7-code'],
})
