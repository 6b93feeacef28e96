import {
  type AIMessageChunk,
  type BaseMessage,
  HumanMessage,
  SystemMessage,
  ToolMessage,
} from '@langchain/core/messages'
import { ChatOpenAI } from '@langchain/openai'
import type { Answer, Client, Place, ProtocolId, Said, Session, Setup } from '../client.ts'
import { readOpenAiError } from './openai-error.ts'

export const langchainChat: Client = langchain('@langchain/openai (chat)', 'openai-chat')
export const langchainResponses: Client = langchain(
  '@langchain/openai (responses)',
  'openai-responses',
)

function langchain(name: string, protocol: ProtocolId): Client {
  const responses = protocol === 'openai-responses'
  return {
    name,
    package: '@langchain/openai',
    protocol,
    open: (place, setup) => open(place, setup, responses),
    readError: readOpenAiError,
    notShown: [],
    errors: { 401: 'AuthenticationError', 404: 'NotFoundError', 429: 'RateLimitError' },
    finishes: responses
      ? { end: 'completed', tools: 'completed' }
      : { end: 'stop', tools: 'tool_calls' },
  }
}

const EFFORT = { effort: 'medium' as const }

function open(place: Place, setup: Setup, useResponsesApi: boolean): Session {
  const { model, stop, system, think } = setup
  // A wish for a summary alone makes the package leave chat completions.
  const thinking = useResponsesApi ? { ...EFFORT, summary: 'auto' as const } : EFFORT
  const chat = new ChatOpenAI({
    // The package asks for thinking by the model's name; the sandbox reads it from the last slash on.
    model: think ? `o1/${model}` : model,
    useResponsesApi,
    apiKey: place.key,
    maxRetries: 0,
    configuration: { baseURL: `${place.url}/v1` },
    ...(think ? { reasoning: thinking } : {}),
    ...(stop === null ? {} : { stop: [stop] }),
    ...(useResponsesApi ? { zdrEnabled: true } : {}),
  })
  const options = {
    ...optionsOf(setup),
    ...(think && useResponsesApi ? { include: ['reasoning.encrypted_content' as const] } : {}),
  }
  const messages: BaseMessage[] = system === null ? [] : [new SystemMessage(system)]
  return {
    async say(said) {
      messages.push(...messagesOf(said))
      const told = setup.stream
        ? await streamed(await chat.stream(messages, options))
        : { message: await chat.invoke(messages, options), pieces: 1 }
      messages.push(told.message)
      return readAnswer(told.message, told.pieces)
    },
  }
}

type Options = NonNullable<Parameters<ChatOpenAI['invoke']>[1]>

function optionsOf({ forced, schema, tools }: Setup): Options {
  return {
    ...(tools.length === 0
      ? {}
      : {
          tools: tools.map(({ schema: parameters, ...named }) => ({
            type: 'function' as const,
            function: { ...named, parameters },
          })),
        }),
    ...(forced === null
      ? {}
      : { tool_choice: { type: 'function' as const, function: { name: forced } } }),
    ...(schema === null
      ? {}
      : {
          response_format: {
            type: 'json_schema' as const,
            json_schema: { name: 'answer', strict: true, schema },
          },
        }),
  }
}

async function streamed(
  chunks: AsyncIterable<AIMessageChunk>,
): Promise<{ readonly message: AIMessageChunk; readonly pieces: number }> {
  let message: AIMessageChunk | null = null
  let pieces = 0
  for await (const chunk of chunks) {
    message = message === null ? chunk : message.concat(chunk)
    if (chunk.text !== '') pieces += 1
  }
  if (message === null) throw new Error('an empty stream')
  return { message, pieces }
}

function messagesOf(said: Said): readonly BaseMessage[] {
  if (said.from === 'tools') {
    return said.results.map(
      ({ call, text }) => new ToolMessage({ content: text, tool_call_id: call.id }),
    )
  }
  if (said.pngBase64 === null) return [new HumanMessage(said.text)]
  const url = `data:image/png;base64,${said.pngBase64}`
  return [
    new HumanMessage({
      content: [
        { type: 'text', text: said.text },
        { type: 'image_url', image_url: { url } },
      ],
    }),
  ]
}

function readAnswer(message: AIMessageChunk, pieces: number): Answer {
  const { additional_kwargs: extra, response_metadata: facts, usage_metadata } = message
  const usage = usage_metadata as Usage | undefined
  const finish: unknown = facts['finish_reason'] ?? facts['status']
  return {
    text: message.text,
    thinking: thinkingOf(extra['reasoning_content'], extra['reasoning']),
    calls: (message.tool_calls ?? []).map(({ args, id = '', name }) => ({ id, name, input: args })),
    finish: typeof finish === 'string' ? finish : null,
    inputTokens: usage?.input_tokens ?? null,
    outputTokens: usage?.output_tokens ?? null,
    pieces,
  }
}

type Usage = { readonly input_tokens: number; readonly output_tokens: number }
type Summary = { readonly summary?: readonly { readonly text?: string }[] }

/** A text (chat), or a reasoning item with its summary (responses). */
function thinkingOf(text: unknown, item: unknown): string {
  if (typeof text === 'string') return text
  if (typeof item !== 'object' || item === null) return ''
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- read with care below
  const { summary = [] } = item as Summary
  return summary.map((part) => part.text ?? '').join('')
}
