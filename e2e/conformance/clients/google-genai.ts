import {
  ApiError,
  type Content,
  type FunctionCall,
  FunctionCallingConfigMode,
  type GenerateContentConfig,
  type GenerateContentResponse,
  GoogleGenAI,
  type Part,
} from '@google/genai'
import type { Answer, Call, Client, Place, Said, Session, Setup } from '../client.ts'

const THINKING_TOKENS = 2048

export const googleGenai: Client = {
  name: '@google/genai',
  package: '@google/genai',
  protocol: 'gemini',
  open,
  readError(thrown) {
    if (!(thrown instanceof ApiError)) return { status: null, name: String(thrown) }
    return { status: thrown.status, name: thrown.name }
  },
  errors: { 401: 'ApiError', 404: 'ApiError', 429: 'ApiError' },
  finishes: { end: 'STOP', tools: 'STOP' },
  notShown: [],
}

function open(place: Place, setup: Setup): Session {
  const client = new GoogleGenAI({ apiKey: place.key, httpOptions: { baseUrl: place.url } })
  const contents: Content[] = []
  return {
    async say(said) {
      contents.push({ role: 'user', parts: partsOf(said) })
      const params = { model: setup.model, contents, config: configOf(setup) }
      const chunks: GenerateContentResponse[] = []
      if (setup.stream) {
        for await (const chunk of await client.models.generateContentStream(params)) {
          chunks.push(chunk)
        }
      } else chunks.push(await client.models.generateContent(params))
      const parts = chunks.flatMap(({ candidates }) => candidates?.[0]?.content?.parts ?? [])
      contents.push({ role: 'model', parts })
      return readAnswer(chunks, parts)
    },
  }
}

function configOf(setup: Setup): GenerateContentConfig {
  const { forced, schema, stop, system, think, tools } = setup
  return {
    ...(system === null ? {} : { systemInstruction: system }),
    ...(tools.length === 0
      ? {}
      : {
          tools: [
            {
              functionDeclarations: tools.map(
                ({ description, name, schema: parametersJsonSchema }) => ({
                  name,
                  description,
                  parametersJsonSchema,
                }),
              ),
            },
          ],
        }),
    ...(forced === null
      ? {}
      : {
          toolConfig: {
            functionCallingConfig: {
              mode: FunctionCallingConfigMode.ANY,
              allowedFunctionNames: [forced],
            },
          },
        }),
    ...(schema === null
      ? {}
      : { responseMimeType: 'application/json', responseJsonSchema: schema }),
    ...(stop === null ? {} : { stopSequences: [stop] }),
    ...(think
      ? { thinkingConfig: { includeThoughts: true, thinkingBudget: THINKING_TOKENS } }
      : {}),
  }
}

function partsOf(said: Said): Part[] {
  if (said.from === 'tools') {
    return said.results.map(({ call, text }) => ({
      functionResponse: {
        name: call.name,
        ...(call.id === '' ? {} : { id: call.id }),
        response: { output: text },
      },
    }))
  }
  if (said.pngBase64 === null) return [{ text: said.text }]
  return [{ text: said.text }, { inlineData: { mimeType: 'image/png', data: said.pngBase64 } }]
}

function readAnswer(chunks: readonly GenerateContentResponse[], parts: readonly Part[]): Answer {
  const texts = parts.filter(({ text, thought }) => text !== undefined && thought !== true)
  const thoughts = parts.filter(({ thought }) => thought === true)
  const usage = chunks.findLast(({ usageMetadata }) => usageMetadata !== undefined)?.usageMetadata
  const output = usage?.candidatesTokenCount
  return {
    text: textOf(texts),
    thinking: textOf(thoughts),
    calls: parts.flatMap(({ functionCall }) =>
      functionCall === undefined ? [] : [readCall(functionCall)],
    ),
    finish: chunks.at(-1)?.candidates?.[0]?.finishReason ?? null,
    inputTokens: usage?.promptTokenCount ?? null,
    outputTokens: output === undefined ? null : output + (usage?.thoughtsTokenCount ?? 0),
    pieces: texts.length,
  }
}

function textOf(parts: readonly Part[]): string {
  return parts.map(({ text }) => text ?? '').join('')
}

/** The vendor may leave ids out; results then go back in the order of the calls. */
function readCall({ args, id, name }: FunctionCall): Call {
  return { id: id ?? '', name: name ?? '', input: args }
}
