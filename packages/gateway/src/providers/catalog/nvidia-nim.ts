import type { ProviderFacts } from '../../contracts/provider.ts'
import { openaiCompatible } from '../openai-compatible.ts'

/**
 * NVIDIA's hosted NIM. Address from the Tokenomics study (27 providers); models from the price snapshot of 2026-11-21. 402 is spent credits; from knowledge.
 */
export const nvidiaNim: ProviderFacts = openaiCompatible({
  id: 'nvidia_nim',
  title: 'NVIDIA NIM',
  baseUrl: 'https://integrate.api.nvidia.com',
  credentialEnv: 'NVIDIA_API_KEY',
  models: [
    'nvidia/nemotron-3-ultra-550b-a55b',
    'openai/gpt-oss-20b',
    'deepseek-ai/deepseek-v4.1-flash',
  ],
})
