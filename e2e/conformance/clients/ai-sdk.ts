import { createAnthropic } from '@ai-sdk/anthropic'
import { createGoogle } from '@ai-sdk/google'
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import {
  APICallError,
  generateText,
  jsonSchema,
  type LanguageModel,
  type ModelMessage,
  Output,
  streamText,
  tool,
  type ToolSet,
} from 'ai'
import type { Answer, Client, Place, ProtocolId, Said, Session, Setup } from '../client.ts'

type Make = (place: Place, model: string) => LanguageModel

/** What goes beside `reasoning` for the thinking to be seen. */
const SEEN = {
  openai: { reasoningSummary: 'auto' },
  anthropic: { thinking: { type: 'enabled', budgetTokens: 2048, display: 'summarized' } },
  google: { thinkingConfig: { includeThoughts: true } },
}
/** Nothing is kept at the provider; models of any name may think. */
const OPENAI = { store: false, forceReasoning: true }

export const aiSdkOpenAi: Client = aiSdk(
  '@ai-sdk/openai (responses)',
  '@ai-sdk/openai',
  'openai-responses',
  ({ key, url }, model) => createOpenAI({ apiKey: key, baseURL: `${url}/v1` }).responses(model),
)
export const aiSdkOpenAiChat: Client = aiSdk(
  '@ai-sdk/openai (chat)',
  '@ai-sdk/openai',
  'openai-chat',
  ({ key, url }, model) => createOpenAI({ apiKey: key, baseURL: `${url}/v1` }).chat(model),
)
export const aiSdkCompatible: Client = aiSdk(
  '@ai-sdk/openai-compatible',
  '@ai-sdk/openai-compatible',
  'openai-chat',
  ({ key, url }, model) =>
    createOpenAICompatible({
      name: 'tollgate',
      apiKey: key,
      baseURL: `${url}/v1`,
      includeUsage: true,
      supportsStructuredOutputs: true,
    })(model),
)
export const aiSdkAnthropic: Client = aiSdk(
  '@ai-sdk/anthropic',
  '@ai-sdk/anthropic',
  'anthropic-messages',
  ({ key, url }, model) => createAnthropic({ apiKey: key, baseURL: `${url}/v1` })(model),
)
export const aiSdkGoogle: Client = aiSdk(
  '@ai-sdk/google',
  '@ai-sdk/google',
  'gemini',
  ({ key, url }, model) => createGoogle({ apiKey: key, baseURL: `${url}/v1beta` })(model),
)

function aiSdk(name: string, packageName: string, protocol: ProtocolId, make: Make): Client {
  return {
    name,
    package: packageName,
    protocol,
    open: (place, setup) => open(make(place, setup.model), setup),
    readError(thrown) {
      if (!APICallError.isInstance(thrown)) return { status: null, name: String(thrown) }
      return { status: thrown.statusCode ?? null, name: thrown.name }
    },
    errors: { 401: 'AI_APICallError', 404: 'AI_APICallError', 429: 'AI_APICallError' },
    finishes: { end: 'stop', tools: 'tool-calls' },
    // The chat half of this package knows no member for it.
    notShown: name === '@ai-sdk/openai (chat)' ? ['reasoning'] : [],
  }
}

function open(model: LanguageModel, setup: Setup): Session {
  const messages: ModelMessage[] = []
  return {
    async say(said) {
      messages.push(messageOf(said))
      const params = { ...paramsOf(setup), model, messages, maxRetries: 0 }
      const told = setup.stream ? await streamed(params) : await generateText(params)
      messages.push(...told.responseMessages)
      return readAnswer(told)
    },
  }
}

type Params = Parameters<typeof generateText>[0] & { readonly messages: ModelMessage[] }
type Told = {
  readonly text: string
  readonly reasoningText: string | undefined
  readonly toolCalls: readonly {
    readonly toolCallId: string
    readonly toolName: string
    readonly input: unknown
  }[]
  readonly finishReason: string
  readonly usage: {
    readonly inputTokens: number | undefined
    readonly outputTokens: number | undefined
  }
  readonly responseMessages: readonly ModelMessage[]
  readonly pieces?: number
}

async function streamed(params: Params): Promise<Told> {
  const result = streamText({ ...params, onError: () => {} })
  let pieces = 0
  for await (const part of result.stream) {
    if (part.type === 'error') throw part.error
    if (part.type === 'text-delta') pieces += 1
  }
  return {
    pieces,
    text: await result.text,
    reasoningText: await result.reasoningText,
    toolCalls: await result.toolCalls,
    finishReason: await result.finishReason,
    usage: await result.usage,
    responseMessages: await result.responseMessages,
  }
}

function paramsOf(setup: Setup): Omit<Params, 'model' | 'messages' | 'prompt'> {
  const { forced, schema, stop, system, think, tools } = setup
  const offered: ToolSet = Object.fromEntries(
    tools.map(({ description, name, schema: shape }) => {
      const inputSchema = jsonSchema(shape)
      return [name, tool({ description, inputSchema })]
    }),
  )
  return {
    ...(system === null ? {} : { instructions: system }),
    ...(tools.length === 0 ? {} : { tools: offered }),
    ...(forced === null ? {} : { toolChoice: { type: 'tool' as const, toolName: forced } }),
    ...(schema === null ? {} : { output: Output.object({ schema: jsonSchema(schema) }) }),
    ...(stop === null ? {} : { stopSequences: [stop] }),
    ...(think ? { reasoning: 'medium' as const } : {}),
    providerOptions: think
      ? { ...SEEN, openai: { ...OPENAI, ...SEEN.openai } }
      : { openai: OPENAI },
  }
}

function messageOf(said: Said): ModelMessage {
  if (said.from === 'tools') {
    return {
      role: 'tool',
      content: said.results.map(({ call, text }) => ({
        type: 'tool-result',
        toolCallId: call.id,
        toolName: call.name,
        output: { type: 'text', value: text },
      })),
    }
  }
  if (said.pngBase64 === null) return { role: 'user', content: said.text }
  return {
    role: 'user',
    content: [
      { type: 'text', text: said.text },
      { type: 'file', mediaType: 'image/png', data: said.pngBase64 },
    ],
  }
}

function readAnswer(told: Told): Answer {
  return {
    text: told.text,
    thinking: told.reasoningText ?? '',
    calls: told.toolCalls.map(({ input, toolCallId: id, toolName: name }) => ({ id, name, input })),
    finish: told.finishReason,
    inputTokens: told.usage.inputTokens ?? null,
    outputTokens: told.usage.outputTokens ?? null,
    pieces: told.pieces ?? 1,
  }
}
