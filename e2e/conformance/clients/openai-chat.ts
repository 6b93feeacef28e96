import OpenAI from 'openai'
import type { Answer, Call, Client, Place, Said, Session, Setup } from '../client.ts'
import { readOpenAiError } from './openai-error.ts'

type Message = OpenAI.ChatCompletionMessageParam
type Params = Omit<OpenAI.ChatCompletionCreateParamsNonStreaming, 'stream'>

export const openAiChat: Client = {
  name: 'openai (chat completions)',
  package: 'openai',
  protocol: 'openai-chat',
  open,
  readError: readOpenAiError,
  errors: { 401: 'AuthenticationError', 404: 'NotFoundError', 429: 'RateLimitError' },
  finishes: { end: 'stop', tools: 'tool_calls' },
  notShown: [],
}

function open(place: Place, setup: Setup): Session {
  const client = new OpenAI({ apiKey: place.key, baseURL: `${place.url}/v1`, maxRetries: 0 })
  const messages: Message[] =
    setup.system === null ? [] : [{ role: 'system', content: setup.system }]
  return {
    async say(said) {
      messages.push(...messagesOf(said))
      const params = { ...paramsOf(setup), messages }
      if (setup.stream) {
        const told = await streamed(client, params)
        messages.push(told.choice.message)
        return { ...readAnswer(told.completion, told.choice), ...told.seen }
      }
      const completion = await client.chat.completions.create(params)
      const choice = choiceOf(completion)
      messages.push(choice.message)
      return readAnswer(completion, choice)
    },
  }
}

type Streamed = {
  readonly completion: OpenAI.ChatCompletion
  readonly choice: OpenAI.ChatCompletion.Choice
  readonly seen: Pick<Answer, 'pieces' | 'thinking'>
}

/** Through the helper that puts chunks together; members that the vendor's types lack are gathered by hand. */
async function streamed(client: OpenAI, params: Params): Promise<Streamed> {
  const stream = client.chat.completions.stream({
    ...params,
    stream_options: { include_usage: true },
  })
  let pieces = 0
  let thinking = ''
  stream.on('content', () => (pieces += 1))
  stream.on('chunk', ({ choices }) => (thinking += thinkingOf(choices[0]?.delta ?? {})))
  const completion = await stream.finalChatCompletion()
  return { completion, choice: choiceOf(completion), seen: { pieces, thinking } }
}

function choiceOf({ choices }: OpenAI.ChatCompletion): OpenAI.ChatCompletion.Choice {
  const [choice] = choices
  if (choice === undefined) throw new Error('the answer has no choice')
  return choice
}

function paramsOf(setup: Setup): Omit<Params, 'messages'> {
  const { forced, model, schema, stop, think, tools } = setup
  return {
    model,
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
    ...(stop === null ? {} : { stop }),
    ...(think ? { reasoning_effort: 'medium' as const } : {}),
  }
}

function messagesOf(said: Said): readonly Message[] {
  if (said.from === 'tools') {
    return said.results.map(({ call, text }) => ({
      role: 'tool',
      tool_call_id: call.id,
      content: text,
    }))
  }
  if (said.pngBase64 === null) return [{ role: 'user', content: said.text }]
  const url = `data:image/png;base64,${said.pngBase64}`
  return [
    {
      role: 'user',
      content: [
        { type: 'text', text: said.text },
        { type: 'image_url', image_url: { url } },
      ],
    },
  ]
}

function readAnswer(
  { usage }: OpenAI.ChatCompletion,
  { finish_reason: finish, message }: OpenAI.ChatCompletion.Choice,
): Answer {
  return {
    text: message.content ?? '',
    thinking: thinkingOf(message),
    calls: (message.tool_calls ?? []).map(readCall),
    finish,
    inputTokens: usage?.prompt_tokens ?? null,
    outputTokens: usage?.completion_tokens ?? null,
    pieces: 1,
  }
}

/** Not in the vendor's own types; most compatible providers send it. */
function thinkingOf(message: object): string {
  const text: unknown = 'reasoning_content' in message ? message.reasoning_content : ''
  return typeof text === 'string' ? text : ''
}

function readCall(call: OpenAI.ChatCompletionMessageToolCall): Call {
  if (call.type !== 'function') throw new Error(`a call of the type ${call.type}`)
  const input: unknown = JSON.parse(call.function.arguments)
  return { id: call.id, name: call.function.name, input }
}
