import type { Conversation, OutputFormat, Tool, ToolChoice } from '../../contracts/conversation.ts'
import type { RenderOptions } from '../../contracts/dialect.ts'
import { effortOf } from '../translation/effort.ts'
import { writeTexts, writeTurns } from './write-messages.ts'

/** A schema needs a name here. */
const DEFAULT_SCHEMA_NAME = 'response'
const NO_PARAMETERS = { type: 'object', properties: {} } as const

/** Only what the client stated: many vendors refuse members that they do not know. */
export function writeRequest(conversation: Conversation, options: RenderOptions): string {
  const { system, turns, stop, stream, maxOutputTokens } = conversation
  const messages = writeTurns(turns, options)
  const body: Record<string, unknown> = {
    model: conversation.model,
    messages:
      system.length === 0
        ? messages
        : [{ role: 'system', content: writeTexts(system, options) }, ...messages],
  }
  writeTools(body, conversation, options)
  writeSampling(body, conversation, options)
  if (maxOutputTokens !== null) body[options.outputCapMember ?? 'max_tokens'] = maxOutputTokens
  if (stop.length > 0) body['stop'] = stop
  writeFormat(body, conversation.output)
  writeReasoning(body, conversation)
  if (conversation.user !== null) body['user'] = conversation.user
  if (conversation.serviceTier !== null) body['service_tier'] = conversation.serviceTier
  if (conversation.cacheKey !== null) body['prompt_cache_key'] = conversation.cacheKey
  // OpenAI takes metadata only of answers that it shall store.
  if (Object.keys(conversation.metadata).length > 0) options.losses.add('metadata')
  if (stream) {
    body['stream'] = true
    if (!options.refusesUsageOption) body['stream_options'] = { include_usage: true }
  }
  return JSON.stringify(body)
}

function writeTools(
  body: Record<string, unknown>,
  { tools, toolChoice, parallelTools }: Conversation,
  options: RenderOptions,
): void {
  if (tools.length === 0) return
  body['tools'] = tools.map((tool) => writeTool(tool, options))
  if (toolChoice !== null) body['tool_choice'] = writeChoice(toolChoice, tools)
  if (parallelTools !== null) body['parallel_tool_calls'] = parallelTools
}

function writeTool(tool: Tool, options: RenderOptions): Readonly<Record<string, unknown>> {
  if (tool.cache !== null) options.losses.add('cache_control')
  const { name, description, grammar } = tool
  const described = description === null ? { name } : { name, description }
  if (tool.kind === 'custom') {
    const format = grammar === undefined ? {} : { format: { type: 'grammar', grammar } }
    return { type: 'custom', custom: { ...described, ...format } }
  }
  const parameters = tool.schema ?? NO_PARAMETERS
  const strict = tool.strict === null ? {} : { strict: tool.strict }
  return { type: 'function', function: { ...described, parameters, ...strict } }
}

function writeChoice(choice: ToolChoice, tools: readonly Tool[]): unknown {
  if (choice.kind !== 'named') return choice.kind
  const { name } = choice
  const custom = tools.some((tool) => tool.kind === 'custom' && tool.name === name)
  return custom ? { type: 'custom', custom: { name } } : { type: 'function', function: { name } }
}

function writeSampling(
  body: Record<string, unknown>,
  { sampling }: Conversation,
  options: RenderOptions,
): void {
  const { temperature, topP, frequencyPenalty, presencePenalty, seed } = sampling
  if (temperature !== null) body['temperature'] = temperature
  if (topP !== null) body['top_p'] = topP
  if (frequencyPenalty !== null) body['frequency_penalty'] = frequencyPenalty
  if (presencePenalty !== null) body['presence_penalty'] = presencePenalty
  if (seed !== null) body['seed'] = seed
  if (sampling.topK !== null) options.losses.add('top_k')
}

function writeFormat(body: Record<string, unknown>, output: OutputFormat): void {
  if (output.kind === 'text') return
  if (output.kind === 'json') {
    body['response_format'] = { type: 'json_object' }
    return
  }
  const { name, description, schema, strict } = output
  body['response_format'] = {
    type: 'json_schema',
    json_schema: {
      name: name ?? DEFAULT_SCHEMA_NAME,
      ...(description === null ? {} : { description }),
      schema,
      ...(strict === null ? {} : { strict }),
    },
  }
}

/** Whether thinking is shown cannot be chosen here: a vendor shows it or not. */
function writeReasoning(body: Record<string, unknown>, { reasoning }: Conversation): void {
  if (reasoning === null) return
  const { effort, budgetTokens } = reasoning
  const said = effort ?? (budgetTokens === null ? null : effortOf(budgetTokens))
  if (said !== null) body['reasoning_effort'] = said
}
