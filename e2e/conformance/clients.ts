import type { Client } from './client.ts'
import {
  aiSdkAnthropic,
  aiSdkCompatible,
  aiSdkGoogle,
  aiSdkOpenAi,
  aiSdkOpenAiChat,
} from './clients/ai-sdk.ts'
import { anthropicMessages } from './clients/anthropic.ts'
import { googleGenai } from './clients/google-genai.ts'
import { langchainChat, langchainResponses } from './clients/langchain.ts'
import { openAiChat } from './clients/openai-chat.ts'
import { openAiResponses } from './clients/openai-responses.ts'

/** All clients of the matrix, by the test file that runs them. */
export const CLIENTS: Readonly<Record<string, readonly Client[]>> = {
  'openai.test.ts': [openAiChat, openAiResponses],
  'anthropic.test.ts': [anthropicMessages],
  'google-genai.test.ts': [googleGenai],
  'ai-sdk.test.ts': [aiSdkOpenAi, aiSdkOpenAiChat, aiSdkCompatible, aiSdkAnthropic, aiSdkGoogle],
  'langchain.test.ts': [langchainChat, langchainResponses],
}

/** Agents run a session of their own instead of the features. */
export const AGENTS: readonly {
  readonly name: string
  readonly package: string
  readonly protocol: string
}[] = [
  { name: 'Claude Code', package: '@anthropic-ai/claude-code', protocol: 'anthropic-messages' },
  { name: 'Codex', package: '@openai/codex', protocol: 'openai-responses' },
]
