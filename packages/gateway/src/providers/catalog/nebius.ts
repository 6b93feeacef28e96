import type { ProviderFacts } from '../../contracts/provider.ts'
import { openaiCompatible } from '../openai-compatible.ts'

/** Nebius Token Factory. Address and variable from its documentation (from general knowledge, not read live). */
export const nebius: ProviderFacts = openaiCompatible({
  id: 'nebius',
  title: 'Nebius',
  baseUrl: 'https://api.studio.nebius.com/v1',
  models: ['openai/gpt-oss-120b'],
})
