import type { ProviderFacts } from '../../contracts/provider.ts'
import { openaiCompatible } from '../openai-compatible.ts'

/**
 * DeepSeek. Address from the Tokenomics study (27 providers); models from the price snapshot of 2026-11-21.
 *
 * 402 is an empty balance, 422 wrong parameters, 503 overloaded (api-docs.deepseek.com/quick_start/error_codes, read
 * 2026-11-21).
 */
export const deepseek: ProviderFacts = openaiCompatible({
  id: 'deepseek',
  title: 'DeepSeek',
  baseUrl: 'https://api.deepseek.com',
  failures: { 402: 'quota', 422: 'client', 503: 'overloaded' },
  models: ['deepseek-flash', 'deepseek-v4-pro'],
})
