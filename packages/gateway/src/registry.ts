import type { Protocol } from './contracts/protocol.ts'
import type { ProviderFacts } from './contracts/provider.ts'
import { ANTHROPIC_MESSAGES } from './protocols/anthropic-messages/anthropic-messages.ts'
import { BEDROCK_CONVERSE } from './protocols/bedrock-converse/bedrock-converse.ts'
import { GEMINI } from './protocols/gemini/gemini.ts'
import { OPENAI_CHAT } from './protocols/openai-chat/openai-chat.ts'
import { OPENAI_RESPONSES } from './protocols/openai-responses/openai-responses.ts'
import { anthropic } from './providers/anthropic/anthropic.ts'
import * as CATALOG from './providers/catalog/all.ts'
import { openai } from './providers/openai/openai.ts'
import { sandbox } from './providers/sandbox/facts.ts'

/** The built-in providers. An operator's configuration adds to them or overrides them field by field. */
export const PROVIDERS: readonly ProviderFacts[] = [
  sandbox,
  openai,
  anthropic,
  ...Object.values(CATALOG),
]

/** Short names that people write for a provider. */
export const PROVIDER_ALIASES: Readonly<Record<string, string>> = {
  azure: 'azure_openai',
  gemini: 'google_gemini',
}

/** The built-in protocols. The first one shapes errors where nothing tells the caller's protocol. */
export const PROTOCOLS: readonly Protocol[] = [
  OPENAI_CHAT,
  OPENAI_RESPONSES,
  ANTHROPIC_MESSAGES,
  GEMINI,
  BEDROCK_CONVERSE,
]
