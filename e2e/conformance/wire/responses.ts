import { framesOf } from './frames.ts'
import {
  any,
  bool,
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
  variant,
} from './shape.ts'
import { checkItems } from './response-items.ts'

/** Required members and closed sets of words by the types of the `openai` package. */
const STATUS = oneOf('in_progress', 'completed', 'incomplete')

const part = variant('type', {
  output_text: object({ text, annotations: listOf(any) }),
  refusal: object({ refusal: text }),
  reasoning_text: object({ text }),
})

const item = variant('type', {
  message: object({ id: text, role: oneOf('assistant'), status: STATUS, content: listOf(part) }),
  function_call: object({ id: text, call_id: text, name: text, arguments: text, status: STATUS }),
  custom_tool_call: object({ id: text, call_id: text, name: text, input: text }),
  reasoning: object({
    id: text,
    summary: listOf(object({ type: oneOf('summary_text'), text })),
    encrypted_content: maybe(nullable(text)),
  }),
})

const usage = object({
  input_tokens: count,
  input_tokens_details: object({ cached_tokens: count }),
  output_tokens: count,
  output_tokens_details: object({ reasoning_tokens: count }),
  total_tokens: count,
})

function response(status: string, told: Shape): Shape {
  return object({
    id: text,
    object: oneOf('response'),
    created_at: count,
    status: oneOf(status),
    error: nullable(object({ code: text, message: text })),
    incomplete_details: nullable(object({ reason: text })),
    instructions: any,
    metadata: nullable(object({})),
    model: text,
    output: listOf(item),
    parallel_tool_calls: bool,
    temperature: any,
    tool_choice: any,
    tools: listOf(object({ type: text })),
    top_p: any,
    usage: told,
  })
}

const place = { sequence_number: count, output_index: count, item_id: text }
const partPlace = { ...place, content_index: count }
const summaryPlace = { ...place, summary_index: count }
const summaryPart = object({ type: oneOf('summary_text'), text })
const unfinished = object({
  sequence_number: count,
  response: response('in_progress', maybe(nullable(usage))),
})

const EVENTS: Readonly<Record<string, Shape>> = {
  'response.created': unfinished,
  'response.in_progress': unfinished,
  'response.completed': object({ sequence_number: count, response: response('completed', usage) }),
  'response.incomplete': object({
    sequence_number: count,
    response: response('incomplete', usage),
  }),
  'response.output_item.added': object({ sequence_number: count, output_index: count, item }),
  'response.output_item.done': object({ sequence_number: count, output_index: count, item }),
  'response.content_part.added': object({ ...partPlace, part }),
  'response.content_part.done': object({ ...partPlace, part }),
  'response.output_text.delta': object({ ...partPlace, delta: text, logprobs: listOf(any) }),
  'response.output_text.done': object({ ...partPlace, text, logprobs: listOf(any) }),
  'response.refusal.delta': object({ ...partPlace, delta: text }),
  'response.refusal.done': object({ ...partPlace, refusal: text }),
  'response.function_call_arguments.delta': object({ ...place, delta: text }),
  'response.function_call_arguments.done': object({ ...place, arguments: text }),
  'response.custom_tool_call_input.delta': object({ ...place, delta: text }),
  'response.custom_tool_call_input.done': object({ ...place, input: text }),
  'response.reasoning_summary_part.added': object({ ...summaryPlace, part: summaryPart }),
  'response.reasoning_summary_part.done': object({ ...summaryPlace, part: summaryPart }),
  'response.reasoning_summary_text.delta': object({ ...summaryPlace, delta: text }),
  'response.reasoning_summary_text.done': object({ ...summaryPlace, text }),
  'response.reasoning_text.delta': object({ ...partPlace, delta: text }),
  'response.reasoning_text.done': object({ ...partPlace, text }),
}

export function checkResponsesAnswer(body: unknown): readonly string[] {
  return problemsOf(response('completed', usage), body)
}

/** `sequence_number` counts up; one response from `created` to its end; its items are what the events said. */
export function checkResponsesStream(stream: string): readonly string[] {
  const problems: string[] = []
  const events: Record<string, unknown>[] = []
  for (const { data, event } of framesOf(stream)) {
    problems.push(...problemsOf(variant('type', EVENTS), data))
    if (!isRecord(data)) continue
    if (event !== data['type']) problems.push(`event ${event}, type ${String(data['type'])}`)
    if (data['sequence_number'] !== events.length) {
      problems.push(`sequence_number ${String(data['sequence_number'])} at ${events.length}`)
    }
    events.push(data)
  }
  const first = events[0]
  const last = events.at(-1)
  if (first?.['type'] !== 'response.created') problems.push('the first event is not created')
  if (!isRecord(last?.['response']) || !isRecord(first?.['response'])) {
    return [...problems, 'the last event has no response']
  }
  if (last['response']['id'] !== first['response']['id']) problems.push('two ids of the response')
  problems.push(...checkItems(events, last['response']['output']))
  return problems
}
