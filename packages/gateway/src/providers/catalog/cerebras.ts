import type { ProviderFacts } from '../../contracts/provider.ts'
import { openaiCompatible } from '../openai-compatible.ts'

/**
 * Cerebras. Address from the Tokenomics study (27 providers); models from the price snapshot of 2026-11-21.
 */
export const cerebras: ProviderFacts = openaiCompatible({
  id: 'cerebras',
  title: 'Cerebras',
  baseUrl: 'https://api.cerebras.ai/v1',
  models: ['gpt-oss-120b', 'qwen-3.8-27b'],
})
