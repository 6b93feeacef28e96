import type { Conversation, Tool, ToolChoice, Turn } from '../../contracts/conversation.ts'
import type { LossList } from '../../contracts/dialect.ts'
import type { CachePoints } from './cache-points.ts'

/** `toolConfig`. It must stand wherever a call or a result does, so tools of calls that were made are named again. */
export function toolMembers(
  conversation: Conversation,
  turns: readonly Turn[],
  { points, losses }: { readonly points: CachePoints; readonly losses: LossList },
): readonly string[] {
  const { toolChoice, parallelTools } = conversation
  if (parallelTools === false) losses.add('parallel_tool_calls')
  const called = calledNames(turns)
  if (toolChoice?.kind === 'none' && called.size === 0) return []
  const tools = conversation.tools.map((tool) => toolJson(tool, points))
  if (tools.length === 0) {
    if (toolChoice?.kind === 'required' || toolChoice?.kind === 'named') losses.add('tool_choice')
    if (called.size === 0) return []
    for (const name of called) tools.push(specJson({ name, rest: '', schema: { type: 'object' } }))
    return [`"toolConfig":{"tools":[${tools.join(',')}]}`]
  }
  if (toolChoice?.kind === 'none') losses.add('tool_choice')
  return [`"toolConfig":{"tools":[${tools.join(',')}]${choiceMember(toolChoice)}}`]
}

function calledNames(turns: readonly Turn[]): ReadonlySet<string> {
  const names = new Set<string>()
  for (const { blocks } of turns) {
    for (const block of blocks) if (block.type === 'tool_call') names.add(block.name)
  }
  return names
}

function toolJson({ name, description, schema, strict, cache }: Tool, points: CachePoints): string {
  const text = description === null ? '' : `,"description":${JSON.stringify(description)}`
  const rest = strict === true ? `${text},"strict":true` : text
  return specJson({ name, rest, schema: schema ?? { type: 'object' } }) + points.behind(cache)
}

function specJson({ name, rest, schema }: { name: string; rest: string; schema: object }): string {
  return `{"toolSpec":{"name":${JSON.stringify(name)}${rest},"inputSchema":{"json":${JSON.stringify(schema)}}}}`
}

/** There is no way to say that no tool may be called. */
function choiceMember(choice: ToolChoice | null): string {
  switch (choice?.kind) {
    case 'auto':
      return ',"toolChoice":{"auto":{}}'
    case 'required':
      return ',"toolChoice":{"any":{}}'
    case 'named':
      return `,"toolChoice":{"tool":{"name":${JSON.stringify(choice.name)}}}`
    case 'none':
    case undefined:
      return ''
  }
}
