import type { ProviderFacts } from '../../contracts/provider.ts'
import { openaiCompatible } from '../openai-compatible.ts'

/**
 * Together AI. The address is that of the price snapshot's source of 2026-11-21 (the study has api.together.xyz, which
 * also answers); models from the price snapshot of 2026-11-21. 403 means that input and output do not fit the model; from knowledge.
 */
export const together: ProviderFacts = openaiCompatible({
  id: 'together',
  title: 'Together AI',
  baseUrl: 'https://api.together.ai',
  failures: { 403: 'client' },
  models: [
    'moonshotai/Kimi-K3',
    'deepseek-ai/DeepSeek-V4.1-Flash',
    'openai/gpt-oss-120b',
    'zai-org/GLM-5.3',
    'Qwen/Qwen3.7-Max',
  ],
})
