import type { ProviderFacts } from '../../contracts/provider.ts'
import { openaiCompatible } from '../openai-compatible.ts'

/**
 * OpenAI.
 *
 * `max_tokens` is deprecated and refused by the o-series and later models: `max_completion_tokens` works for all.
 * Source: platform.openai.com/docs/api-reference/chat/create, from knowledge; models from the price snapshot 2026-11-21.
 * 403 is a country or a project without access, so it belongs to our account. 409 is a passing conflict.
 */
export const openai: ProviderFacts = openaiCompatible({
  id: 'openai',
  title: 'OpenAI',
  baseUrl: 'https://api.openai.com',
  protocols: ['openai-chat', 'openai-responses'],
  outputCapMember: 'max_completion_tokens',
  failures: { 409: 'transient' },
  models: [
    'gpt-6.1-sol',
    'gpt-6.1-terra',
    'gpt-6-luna',
    'gpt-5.4',
    'gpt-5.4-mini',
    'gpt-4.1',
    'gpt-4.1-mini',
    'gpt-4o',
    'gpt-4o-mini',
    'o4-mini',
    'text-embedding-3-small',
    'text-embedding-3-large',
  ],
})
