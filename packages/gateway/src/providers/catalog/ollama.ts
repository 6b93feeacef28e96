import type { ProviderFacts } from '../../contracts/provider.ts'
import { localServer } from '../openai-compatible.ts'

/**
 * Ollama on this machine, through its OpenAI-compatible path. Address from the Tokenomics study (27 providers). Newer versions also speak Messages under the same address; from knowledge.
 */
export const ollama: ProviderFacts = localServer({
  id: 'ollama',
  title: 'Ollama',
  baseUrl: 'http://localhost:11434',
  protocols: ['openai-chat', 'anthropic-messages'],
  models: ['gpt-oss:20b', 'llama3.3', 'qwen3'],
})
