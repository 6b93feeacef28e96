import type { ProviderFacts } from '../../contracts/provider.ts'
import { openaiCompatible } from '../openai-compatible.ts'

/**
 * OpenRouter. Address from the Tokenomics study (27 providers); it speaks Messages under the same address, by the price snapshot's source; models from the price snapshot of 2026-11-21.
 *
 * 402 is empty credits, 403 input that moderation flagged (so the caller's), 502 a model that is down; from knowledge.
 */
export const openrouter: ProviderFacts = openaiCompatible({
  id: 'openrouter',
  title: 'OpenRouter',
  baseUrl: 'https://openrouter.ai/api',
  protocols: ['openai-chat', 'anthropic-messages'],
  failures: { 402: 'quota', 403: 'client' },
  models: [
    'openrouter/auto',
    'anthropic/claude-sonnet-4.6',
    'openai/gpt-4o-mini',
    'google/gemini-3.8-flash',
  ],
})
