import type { Conversation, Tool, ToolChoice } from '../../contracts/conversation.ts'
import type { LossList } from '../../contracts/dialect.ts'
import type { CacheMarks } from './cache-marks.ts'

/** `tools` and `tool_choice`. A choice without tools is refused, so it is written only beside them. */
export function toolMembers(
  { tools, toolChoice, parallelTools }: Conversation,
  marks: CacheMarks,
  losses: LossList,
): readonly string[] {
  const forced = toolChoice?.kind === 'required' || toolChoice?.kind === 'named'
  if (tools.length === 0 && forced) losses.add('tool_choice')
  if (tools.length === 0) return []
  const members = [`"tools":[${tools.map((tool) => toolJson(tool, marks)).join(',')}]`]
  const choice = choiceJson(toolChoice, parallelTools)
  if (choice !== null) members.push(`"tool_choice":${choice}`)
  return members
}

function toolJson(tool: Tool, marks: CacheMarks): string {
  const description =
    tool.description === null ? '' : `,"description":${JSON.stringify(tool.description)}`
  const strict = tool.strict === null ? '' : `,"strict":${tool.strict}`
  const schema = JSON.stringify(objectSchema(tool))
  return `{"name":${JSON.stringify(tool.name)}${description},"input_schema":${schema}${strict}${marks.member(tool.cache)}}`
}

/** The arguments are always an object, and the schema must say so. */
function objectSchema({ schema }: Tool): Readonly<Record<string, unknown>> {
  if (schema === null) return { type: 'object' }
  return schema['type'] === undefined ? { ...schema, type: 'object' } : schema
}

function choiceJson(choice: ToolChoice | null, parallel: boolean | null): string | null {
  if (choice === null) {
    return parallel === false ? '{"type":"auto","disable_parallel_tool_use":true}' : null
  }
  const single = parallel === null ? '' : `,"disable_parallel_tool_use":${!parallel}`
  switch (choice.kind) {
    case 'none':
      return '{"type":"none"}'
    case 'auto':
      return `{"type":"auto"${single}}`
    case 'required':
      return `{"type":"any"${single}}`
    case 'named':
      return `{"type":"tool","name":${JSON.stringify(choice.name)}${single}}`
  }
}
