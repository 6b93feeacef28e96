import Anthropic from '@anthropic-ai/sdk'
import type { Answer, Client, Place, Said, Session, Setup } from '../client.ts'

const MAX_TOKENS = 4096
const THINKING_TOKENS = 2048

export const anthropicMessages: Client = {
  name: '@anthropic-ai/sdk',
  package: '@anthropic-ai/sdk',
  protocol: 'anthropic-messages',
  open,
  readError(thrown) {
    if (!(thrown instanceof Anthropic.APIError)) return { status: null, name: String(thrown) }
    const status: unknown = thrown.status
    return { status: typeof status === 'number' ? status : null, name: thrown.constructor.name }
  },
  errors: { 401: 'AuthenticationError', 404: 'NotFoundError', 429: 'RateLimitError' },
  finishes: { end: 'end_turn', tools: 'tool_use' },
  notShown: [],
}

function open(place: Place, setup: Setup): Session {
  const client = new Anthropic({ apiKey: place.key, baseURL: place.url, maxRetries: 0 })
  const messages: Anthropic.MessageParam[] = []
  return {
    async say(said) {
      messages.push({ role: 'user', content: contentOf(said) })
      const params = { ...paramsOf(setup), messages }
      const { message, pieces } = setup.stream
        ? await streamed(client, params)
        : { message: await client.messages.create(params), pieces: 1 }
      messages.push({ role: 'assistant', content: message.content.map(givenBack) })
      return readAnswer(message, pieces)
    },
  }
}

type Params = Omit<Anthropic.MessageCreateParamsNonStreaming, 'stream'>

async function streamed(
  client: Anthropic,
  params: Params,
): Promise<{ readonly message: Anthropic.Message; readonly pieces: number }> {
  const stream = client.messages.stream(params)
  let pieces = 0
  stream.on('text', () => (pieces += 1))
  return { message: await stream.finalMessage(), pieces }
}

function paramsOf(setup: Setup): Omit<Params, 'messages'> {
  const { forced, model, schema, stop, system, think, tools } = setup
  return {
    model,
    max_tokens: MAX_TOKENS,
    ...(system === null ? {} : { system }),
    ...(tools.length === 0
      ? {}
      : {
          tools: tools.map(({ description, name, schema: shape }) => ({
            name,
            description,
            input_schema: { ...shape, type: 'object' as const },
          })),
        }),
    ...(forced === null ? {} : { tool_choice: { type: 'tool' as const, name: forced } }),
    ...(schema === null
      ? {}
      : { output_config: { format: { type: 'json_schema' as const, schema } } }),
    ...(stop === null ? {} : { stop_sequences: [stop] }),
    ...(think
      ? {
          thinking: {
            type: 'enabled' as const,
            budget_tokens: THINKING_TOKENS,
            display: 'summarized' as const,
          },
        }
      : {}),
  }
}

function contentOf(said: Said): Anthropic.ContentBlockParam[] {
  if (said.from === 'tools') {
    return said.results.map(({ call, text }) => ({
      type: 'tool_result',
      tool_use_id: call.id,
      content: text,
    }))
  }
  const text = { type: 'text' as const, text: said.text }
  if (said.pngBase64 === null) return [text]
  const source = {
    type: 'base64' as const,
    media_type: 'image/png' as const,
    data: said.pngBase64,
  }
  return [text, { type: 'image', source }]
}

function givenBack(block: Anthropic.ContentBlock): Anthropic.ContentBlockParam {
  if (block.type === 'text' || block.type === 'thinking' || block.type === 'tool_use') return block
  throw new Error(`a block of the type ${block.type}`)
}

function readAnswer({ content, stop_reason, usage }: Anthropic.Message, pieces: number): Answer {
  const texts = content.filter((block) => block.type === 'text')
  const thoughts = content.filter((block) => block.type === 'thinking')
  return {
    text: texts.map(({ text }) => text).join(''),
    thinking: thoughts.map(({ thinking }) => thinking).join(''),
    calls: content
      .filter((block) => block.type === 'tool_use')
      .map(({ id, input, name }) => ({ id, name, input })),
    finish: stop_reason,
    inputTokens: usage.input_tokens,
    outputTokens: usage.output_tokens,
    pieces,
  }
}
