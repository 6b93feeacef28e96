import { framesOf } from './frames.ts'
import {
  count,
  isRecord,
  listOf,
  maybe,
  object,
  oneOf,
  problemsOf,
  type Shape,
  text,
} from './shape.ts'

/** Closed sets of words by the types of `@google/genai`; nearly every member is optional there. */
const FINISHES = [
  'STOP',
  'MAX_TOKENS',
  'SAFETY',
  'RECITATION',
  'LANGUAGE',
  'OTHER',
  'BLOCKLIST',
  'PROHIBITED_CONTENT',
  'SPII',
  'MALFORMED_FUNCTION_CALL',
  'UNEXPECTED_TOOL_CALL',
  'TOO_MANY_TOOL_CALLS',
] as const

const part = object({
  text: maybe(text),
  thoughtSignature: maybe(text),
  functionCall: maybe(object({ name: text, args: maybe(object({})), id: maybe(text) })),
})

const usage = object({
  promptTokenCount: count,
  candidatesTokenCount: maybe(count),
  thoughtsTokenCount: maybe(count),
  cachedContentTokenCount: maybe(count),
  totalTokenCount: count,
})

function response(finish: Shape): Shape {
  return object({
    candidates: listOf(
      object({
        content: maybe(object({ role: oneOf('model'), parts: maybe(listOf(part)) })),
        finishReason: finish,
        index: maybe(count),
      }),
    ),
    usageMetadata: maybe(usage),
    modelVersion: text,
    responseId: text,
  })
}

export const googleError: Shape = object({
  error: object({ code: count, message: text, status: text }),
})

export function checkGeminiAnswer(body: unknown): readonly string[] {
  return problemsOf(response(oneOf(...FINISHES)), body)
}

/** Every chunk; the last one says why it ended, and the usage. */
export function checkGeminiStream(stream: string): readonly string[] {
  const frames = framesOf(stream)
  const problems = frames.flatMap(({ data }) =>
    problemsOf(response(maybe(oneOf(...FINISHES))), data),
  )
  const last = frames.at(-1)?.data
  problems.push(...problemsOf(response(oneOf(...FINISHES)), last))
  if (!isRecord(last) || !isRecord(last['usageMetadata'])) problems.push('the end has no usage')
  return problems
}
