import OpenAI from 'openai'
import type { Answer, Call, Client, Place, Said, Session, Setup } from '../client.ts'
import { readOpenAiError } from './openai-error.ts'

type Item = OpenAI.Responses.ResponseInputItem
type Params = Omit<OpenAI.Responses.ResponseCreateParamsNonStreaming, 'stream'>

export const openAiResponses: Client = {
  name: 'openai (responses)',
  package: 'openai',
  protocol: 'openai-responses',
  open,
  readError: readOpenAiError,
  errors: { 401: 'AuthenticationError', 404: 'NotFoundError', 429: 'RateLimitError' },
  finishes: { end: 'completed', tools: 'completed' },
  notShown: [],
}

function open(place: Place, setup: Setup): Session {
  const client = new OpenAI({ apiKey: place.key, baseURL: `${place.url}/v1`, maxRetries: 0 })
  const input: Item[] = []
  return {
    async say(said) {
      input.push(...itemsOf(said))
      const params = { ...paramsOf(setup), input }
      const { pieces, response } = setup.stream
        ? await streamed(client, params)
        : { response: await client.responses.create(params), pieces: 1 }
      input.push(...response.output.map(givenBack))
      return readAnswer(response, pieces)
    },
  }
}

async function streamed(
  client: OpenAI,
  params: Params,
): Promise<{ readonly response: OpenAI.Responses.Response; readonly pieces: number }> {
  const stream = client.responses.stream(params)
  let pieces = 0
  stream.on('response.output_text.delta', () => (pieces += 1))
  return { response: await stream.finalResponse(), pieces }
}

/** Nothing is stored at the provider: the items themselves go back, with the model's own state in them. */
function paramsOf(setup: Setup): Omit<Params, 'input'> {
  const { forced, model, schema, system, think, tools } = setup
  return {
    model,
    store: false,
    ...(system === null ? {} : { instructions: system }),
    ...(tools.length === 0
      ? {}
      : {
          tools: tools.map(({ description, name, schema: parameters }) => ({
            type: 'function' as const,
            name,
            description,
            parameters,
            strict: false,
          })),
        }),
    ...(forced === null ? {} : { tool_choice: { type: 'function' as const, name: forced } }),
    ...(schema === null
      ? {}
      : {
          text: { format: { type: 'json_schema' as const, name: 'answer', strict: true, schema } },
        }),
    ...(think
      ? {
          reasoning: { effort: 'medium' as const, summary: 'auto' as const },
          include: ['reasoning.encrypted_content' as const],
        }
      : {}),
  }
}

function itemsOf(said: Said): readonly Item[] {
  if (said.from === 'tools') {
    return said.results.map(({ call, text }) => ({
      type: 'function_call_output',
      call_id: call.id,
      output: text,
    }))
  }
  if (said.pngBase64 === null) return [{ role: 'user', content: said.text }]
  const url = `data:image/png;base64,${said.pngBase64}`
  return [
    {
      role: 'user',
      content: [
        { type: 'input_text', text: said.text },
        { type: 'input_image', image_url: url, detail: 'auto' },
      ],
    },
  ]
}

function givenBack(item: OpenAI.Responses.ResponseOutputItem): Item {
  if (item.type === 'message' || item.type === 'function_call' || item.type === 'reasoning') {
    return item
  }
  throw new Error(`an item of the type ${item.type}`)
}

function readAnswer(response: OpenAI.Responses.Response, pieces: number): Answer {
  const thoughts = response.output.filter((item) => item.type === 'reasoning')
  return {
    text: response.output_text,
    thinking: thoughts
      .map(({ content, summary }) => textOf(summary) + textOf(content ?? []))
      .join(''),
    calls: response.output.filter((item) => item.type === 'function_call').map(readCall),
    finish: response.status ?? null,
    inputTokens: response.usage?.input_tokens ?? null,
    outputTokens: response.usage?.output_tokens ?? null,
    pieces,
  }
}

function textOf(parts: readonly { readonly text: string }[]): string {
  return parts.map(({ text }) => text).join('')
}

function readCall(call: OpenAI.Responses.ResponseFunctionToolCall): Call {
  const input: unknown = JSON.parse(call.arguments)
  return { id: call.call_id, name: call.name, input }
}
