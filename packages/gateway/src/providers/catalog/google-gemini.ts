import type { ProviderFacts } from '../../contracts/provider.ts'
import { openaiCompatible } from '../openai-compatible.ts'

/**
 * Google's Gemini API. Addresses and key from the Tokenomics study (27 providers); models from the price snapshot of 2026-11-21.
 *
 * It takes the key as a header too (`x-goog-api-key`), which keeps it out of URLs and logs; from knowledge. Clients of other
 * protocols are translated. Google's own imitation of OpenAI's chat has a base and a credential style of its own
 * (`/v1beta/openai`, bearer): who wants it writes an entry for it.
 */
export const googleGemini: ProviderFacts = openaiCompatible({
  id: 'google_gemini',
  title: 'Google Gemini',
  baseUrl: 'https://generativelanguage.googleapis.com',
  protocols: ['gemini'],
  auth: { kind: 'header', name: 'x-goog-api-key' },
  credentialEnv: 'GOOGLE_API_KEY',
  baseUrlEnv: 'GEMINI_BASE_URL',
  models: [
    'gemini-4-argon',
    'gemini-3.8-flash',
    'gemini-3.5-flash',
    'gemini-2.5-pro',
    'gemini-2.5-flash',
  ],
})
