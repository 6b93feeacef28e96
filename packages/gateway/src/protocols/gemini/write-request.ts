import type { Conversation, Tool, ToolChoice } from '../../contracts/conversation.ts'
import type { LossList, RenderOptions } from '../../contracts/dialect.ts'
import { thinkingJson } from './reasoning.ts'
import { writeContents } from './write-contents.ts'

/** The tiers of this protocol that are not the usual one. */
const TIERS: ReadonlySet<string> = new Set(['flex', 'priority'])
const USUAL_TIERS: ReadonlySet<string> = new Set(['auto', 'default', 'standard', 'standard_only'])

/** JSON text of a request. The path names the model. */
export function writeRequest(conversation: Conversation, options: RenderOptions): string {
  const { losses } = options
  const { system, contents } = writeContents(conversation, options)
  const members: string[] = []
  if (contents.length === 0) {
    // There has to be a content; the system's words are all there is.
    losses.add('system')
    members.push(`"contents":[{"role":"user","parts":[${system.join(',')}]}]`)
  } else {
    members.push(`"contents":[${contents.join(',')}]`)
    if (system.length > 0) members.push(`"systemInstruction":{"parts":[${system.join(',')}]}`)
  }
  addTools(members, conversation, losses)
  const config = configMembers(conversation, losses)
  if (config.length > 0) members.push(`"generationConfig":{${config.join(',')}}`)
  addTier(members, conversation.serviceTier, losses)
  listLosses(conversation, losses)
  return `{${members.join(',')}}`
}

function addTools(members: string[], conversation: Conversation, losses: LossList): void {
  const { tools, toolChoice } = conversation
  if (tools.length > 0) {
    const declared = tools.map((tool) => declarationJson(tool, losses))
    members.push(`"tools":[{"functionDeclarations":[${declared.join(',')}]}]`)
  }
  if (toolChoice !== null) {
    members.push(`"toolConfig":{"functionCallingConfig":${choiceJson(toolChoice)}}`)
  }
}

/** The newer member takes JSON Schema as it is; the older one took a part of it. */
function declarationJson(tool: Tool, losses: LossList): string {
  if (tool.strict === true) losses.add('tools[].strict')
  if (tool.cache !== null) losses.add('cache_control')
  const { description, schema } = tool
  const told = description === null ? '' : `,"description":${JSON.stringify(description)}`
  const typed = schema === null ? '' : `,"parametersJsonSchema":${JSON.stringify(schema)}`
  return `{"name":${JSON.stringify(tool.name)}${told}${typed}}`
}

function choiceJson(choice: ToolChoice): string {
  switch (choice.kind) {
    case 'auto':
      return '{"mode":"AUTO"}'
    case 'none':
      return '{"mode":"NONE"}'
    case 'required':
      return '{"mode":"ANY"}'
    case 'named':
      return `{"mode":"ANY","allowedFunctionNames":[${JSON.stringify(choice.name)}]}`
  }
}

function configMembers(conversation: Conversation, losses: LossList): readonly string[] {
  const { sampling, stop, output } = conversation
  const members: string[] = []
  const add = (name: string, value: number | null): void => {
    if (value !== null) members.push(`"${name}":${value}`)
  }
  add('maxOutputTokens', conversation.maxOutputTokens)
  add('temperature', sampling.temperature)
  add('topP', sampling.topP)
  add('topK', sampling.topK)
  add('frequencyPenalty', sampling.frequencyPenalty)
  add('presencePenalty', sampling.presencePenalty)
  add('seed', sampling.seed)
  if (stop.length > 0) members.push(`"stopSequences":${JSON.stringify(stop)}`)
  if (output.kind !== 'text') members.push('"responseMimeType":"application/json"')
  if (output.kind === 'schema') {
    members.push(`"responseJsonSchema":${JSON.stringify(output.schema)}`)
    if (output.description !== null) losses.add('output_format.description')
  }
  const thinking = thinkingJson(conversation.reasoning, conversation.model)
  if (thinking !== null) members.push(`"thinkingConfig":${thinking}`)
  return members
}

function addTier(members: string[], tier: string | null, losses: LossList): void {
  if (tier === null || USUAL_TIERS.has(tier)) return
  if (TIERS.has(tier)) members.push(`"serviceTier":"${tier}"`)
  else losses.add('service_tier')
}

function listLosses(conversation: Conversation, losses: LossList): void {
  if (conversation.parallelTools === false) losses.add('parallel_tool_calls')
  if (conversation.user !== null) losses.add('user')
  if (conversation.cacheKey !== null) losses.add('prompt_cache_key')
  for (const _ in conversation.metadata) losses.add('metadata')
}
