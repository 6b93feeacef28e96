import { framesOf } from './frames.ts'
import {
  count,
  isRecord,
  listOf,
  maybe,
  nullable,
  object,
  oneOf,
  problemsOf,
  type Shape,
  text,
} from './shape.ts'

/** Required members and closed sets of words by the types of the `openai` package. */
const FINISH = ['stop', 'length', 'tool_calls', 'content_filter', 'function_call'] as const

const usage = object({
  completion_tokens: count,
  prompt_tokens: count,
  total_tokens: count,
  completion_tokens_details: maybe(object({ reasoning_tokens: maybe(count) })),
  prompt_tokens_details: maybe(object({ cached_tokens: maybe(count) })),
})

const completion = object({
  id: text,
  object: oneOf('chat.completion'),
  created: count,
  model: text,
  choices: listOf(
    object({
      index: count,
      finish_reason: oneOf(...FINISH),
      logprobs: nullable(object({})),
      message: object({
        role: oneOf('assistant'),
        content: nullable(text),
        refusal: nullable(text),
        tool_calls: maybe(
          listOf(
            object({
              id: text,
              type: oneOf('function'),
              function: object({ name: text, arguments: text }),
            }),
          ),
        ),
      }),
    }),
  ),
  usage,
})

const chunk = object({
  id: text,
  object: oneOf('chat.completion.chunk'),
  created: count,
  model: text,
  choices: listOf(
    object({
      index: count,
      finish_reason: oneOf(null, ...FINISH),
      delta: object({
        role: maybe(oneOf('assistant')),
        content: maybe(nullable(text)),
        refusal: maybe(nullable(text)),
        tool_calls: maybe(
          listOf(
            object({
              index: count,
              id: maybe(text),
              type: maybe(oneOf('function')),
              function: maybe(object({ name: maybe(text), arguments: maybe(text) })),
            }),
          ),
        ),
      }),
    }),
  ),
  usage: maybe(nullable(usage)),
})

export const openAiError: Shape = object({
  error: object({ message: text, type: text, param: nullable(text), code: nullable(text) }),
})

export function checkChatAnswer(body: unknown): readonly string[] {
  return problemsOf(completion, body)
}

/** Every chunk, one id for all, one finish before the usage, calls opened with id and name, `[DONE]` last. */
export function checkChatStream(stream: string): readonly string[] {
  const frames = framesOf(stream)
  const problems: string[] = []
  if (frames.at(-1)?.raw !== '[DONE]') problems.push('the last frame is not [DONE]')
  const ids = new Set<unknown>()
  const opened = new Set<unknown>()
  let finished = 0
  for (const { data } of frames.slice(0, -1)) {
    problems.push(...problemsOf(chunk, data))
    if (!isRecord(data)) continue
    ids.add(data['id'])
    for (const choice of recordsIn(data['choices'])) {
      if (finished > 0) problems.push('a choice after the finish')
      if (choice['finish_reason'] !== null) finished += 1
      checkCalls(choice['delta'], opened, problems)
    }
  }
  if (ids.size !== 1) problems.push(`${ids.size} ids in one stream`)
  if (finished !== 1) problems.push(`${finished} finish reasons`)
  return problems
}

/** The first piece of a call names it; indexes count up from 0. */
function checkCalls(delta: unknown, opened: Set<unknown>, problems: string[]): void {
  if (!isRecord(delta)) return
  for (const call of recordsIn(delta['tool_calls'])) {
    if (opened.has(call['index'])) continue
    if (call['index'] !== opened.size)
      problems.push(`call ${String(call['index'])} opens too early`)
    opened.add(call['index'])
    problems.push(
      ...problemsOf(
        object({ id: text, type: oneOf('function'), function: object({ name: text }) }),
        call,
      ),
    )
  }
}

function recordsIn(value: unknown): readonly Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isRecord) : []
}
