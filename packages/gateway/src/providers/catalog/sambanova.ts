import type { ProviderFacts } from '../../contracts/provider.ts'
import { openaiCompatible } from '../openai-compatible.ts'

/**
 * SambaNova Cloud. Address and models from the Tokenomics study (27 providers).
 */
export const sambanova: ProviderFacts = openaiCompatible({
  id: 'sambanova',
  title: 'SambaNova',
  baseUrl: 'https://api.sambanova.ai/v1',
  models: ['gpt-oss-120b', 'Meta-Llama-3.3-70B-Instruct'],
})
