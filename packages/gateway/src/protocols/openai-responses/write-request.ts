import type { Conversation, Reasoning } from '../../contracts/conversation.ts'
import type { RenderOptions } from '../../contracts/dialect.ts'
import { effortOf } from '../translation/effort.ts'
import { writeInput } from './write-input.ts'
import { writeChoice, writeFormat, writeTool } from './write-tools.ts'

/** The least that this protocol takes as a cap. From general knowledge, not read live. */
const MIN_OUTPUT_TOKENS = 16

export function writeRequest(conversation: Conversation, options: RenderOptions): string {
  const { model, maxOutputTokens, tools, toolChoice, parallelTools, output } = conversation
  const body: Record<string, unknown> = {
    model,
    ...writeInput(conversation, options),
    // What a translated client says next holds all of the conversation, so nothing has to be kept.
    store: false,
  }
  if (tools.length > 0) {
    body['tools'] = tools.map((tool) => writeTool(tool, options))
    if (toolChoice !== null) body['tool_choice'] = writeChoice(toolChoice, tools)
    if (parallelTools !== null) body['parallel_tool_calls'] = parallelTools
  }
  if (maxOutputTokens !== null) {
    body['max_output_tokens'] = Math.max(maxOutputTokens, MIN_OUTPUT_TOKENS)
  }
  if (output.kind !== 'text') body['text'] = { format: writeFormat(output) }
  writeReasoning(body, conversation.reasoning)
  writeSampling(body, conversation, options)
  if (conversation.user !== null) body['safety_identifier'] = conversation.user
  if (conversation.serviceTier !== null) body['service_tier'] = conversation.serviceTier
  if (conversation.cacheKey !== null) body['prompt_cache_key'] = conversation.cacheKey
  if (Object.keys(conversation.metadata).length > 0) body['metadata'] = conversation.metadata
  if (conversation.stream) body['stream'] = true
  return JSON.stringify(body)
}

/** Models that do not reason refuse to include their reasoning, so it is asked for only with reasoning itself. */
function writeReasoning(body: Record<string, unknown>, reasoning: Reasoning | null): void {
  if (reasoning === null) return
  const { effort, budgetTokens, shown } = reasoning
  const said = effort ?? (budgetTokens === null ? null : effortOf(budgetTokens))
  body['reasoning'] = {
    ...(said === null ? {} : { effort: said }),
    ...(shown === true ? { summary: 'auto' } : {}),
  }
  if (said !== 'none') body['include'] = ['reasoning.encrypted_content']
}

function writeSampling(
  body: Record<string, unknown>,
  { sampling, stop }: Conversation,
  { losses }: RenderOptions,
): void {
  if (sampling.temperature !== null) body['temperature'] = sampling.temperature
  if (sampling.topP !== null) body['top_p'] = sampling.topP
  if (sampling.topK !== null) losses.add('top_k')
  if (sampling.frequencyPenalty !== null) losses.add('frequency_penalty')
  if (sampling.presencePenalty !== null) losses.add('presence_penalty')
  if (sampling.seed !== null) losses.add('seed')
  if (stop.length > 0) losses.add('stop')
}
