import type { Protocol } from './contracts/protocol.ts'
import type { ProviderFacts } from './contracts/provider.ts'
import { ANTHROPIC_MESSAGES } from './protocols/anthropic-messages/anthropic-messages.ts'
import { GEMINI } from './protocols/gemini/gemini.ts'
import { OPENAI_CHAT } from './protocols/openai-chat/openai-chat.ts'
import { anthropic } from './providers/anthropic/anthropic.ts'
import { ai21 } from './providers/catalog/ai21.ts'
import { anyscale } from './providers/catalog/anyscale.ts'
import { azureOpenai } from './providers/catalog/azure-openai.ts'
import { bedrock } from './providers/catalog/bedrock.ts'
import { cerebras } from './providers/catalog/cerebras.ts'
import { cohere } from './providers/catalog/cohere.ts'
import { deepseek } from './providers/catalog/deepseek.ts'
import { fireworks } from './providers/catalog/fireworks.ts'
import { googleGemini } from './providers/catalog/google-gemini.ts'
import { groq } from './providers/catalog/groq.ts'
import { litellm } from './providers/catalog/litellm.ts'
import { lmstudio } from './providers/catalog/lmstudio.ts'
import { localai } from './providers/catalog/localai.ts'
import { mistral } from './providers/catalog/mistral.ts'
import { moonshot } from './providers/catalog/moonshot.ts'
import { nvidiaNim } from './providers/catalog/nvidia-nim.ts'
import { ollama } from './providers/catalog/ollama.ts'
import { openrouter } from './providers/catalog/openrouter.ts'
import { perplexity } from './providers/catalog/perplexity.ts'
import { replicate } from './providers/catalog/replicate.ts'
import { sambanova } from './providers/catalog/sambanova.ts'
import { together } from './providers/catalog/together.ts'
import { vertexAi } from './providers/catalog/vertex-ai.ts'
import { vllm } from './providers/catalog/vllm.ts'
import { xai } from './providers/catalog/xai.ts'
import { openai } from './providers/openai/openai.ts'
import { sandbox } from './providers/sandbox/facts.ts'

/** The built-in providers, one line each. An operator's configuration adds to them or overrides them field by field. */
export const PROVIDERS: readonly ProviderFacts[] = [
  sandbox,
  openai,
  anthropic,
  azureOpenai,
  googleGemini,
  vertexAi,
  mistral,
  cohere,
  groq,
  together,
  fireworks,
  perplexity,
  deepseek,
  xai,
  openrouter,
  nvidiaNim,
  sambanova,
  cerebras,
  ai21,
  moonshot,
  anyscale,
  bedrock,
  replicate,
  ollama,
  vllm,
  litellm,
  localai,
  lmstudio,
]

/** Short names that people write for a provider. */
export const PROVIDER_ALIASES: Readonly<Record<string, string>> = {
  azure: 'azure_openai',
  gemini: 'google_gemini',
}

/** The built-in protocols. The first one shapes errors where nothing tells the caller's protocol. */
export const PROTOCOLS: readonly Protocol[] = [OPENAI_CHAT, ANTHROPIC_MESSAGES, GEMINI]
