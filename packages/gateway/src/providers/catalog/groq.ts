import type { ProviderFacts } from '../../contracts/provider.ts'
import { openaiCompatible } from '../openai-compatible.ts'

/**
 * Groq. Address from the Tokenomics study (27 providers); models from the price snapshot of 2026-11-21.
 *
 * 498 is "flex tier capacity exceeded", worth another try (console.groq.com/docs/errors, read 2026-11-21).
 */
export const groq: ProviderFacts = openaiCompatible({
  id: 'groq',
  title: 'Groq',
  baseUrl: 'https://api.groq.com/openai',
  failures: { 498: 'overloaded' },
  models: [
    'openai/gpt-oss-120b',
    'openai/gpt-oss-20b',
    'llama-3.3-70b-versatile',
    'llama-3.1-8b-instant',
    'qwen/qwen3.8-27b',
  ],
})
