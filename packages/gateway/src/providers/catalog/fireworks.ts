import type { ProviderFacts } from '../../contracts/provider.ts'
import { openaiCompatible } from '../openai-compatible.ts'

/**
 * Fireworks AI. Address from the Tokenomics study (27 providers); it speaks Messages under the same address, by the price snapshot's source; models from the price snapshot of 2026-11-21.
 * 412 is a suspended account or a spent limit; from knowledge.
 */
export const fireworks: ProviderFacts = openaiCompatible({
  id: 'fireworks',
  title: 'Fireworks AI',
  baseUrl: 'https://api.fireworks.ai/inference',
  protocols: ['openai-chat', 'anthropic-messages'],
  failures: { 412: 'quota' },
  models: [
    'accounts/fireworks/models/kimi-k3p1-pro',
    'accounts/fireworks/models/glm-5p3',
    'accounts/fireworks/models/deepseek-v4p1-flash',
  ],
})
