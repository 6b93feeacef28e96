import type { Tool, ToolChoice } from '../../contracts/conversation.ts'
import type { LossList } from '../../contracts/dialect.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { isRecord } from '../../lib/is-record.ts'
import { invalidField } from '../read-body.ts'
import {
  type Fields,
  listUnknown,
  lossOf,
  optionalFlag,
  optionalRecord,
  optionalText,
  requiredText,
} from './fields.ts'
import { readCache } from './read-cache.ts'

const TOOL: ReadonlySet<string> = new Set([
  'type',
  'name',
  'description',
  'input_schema',
  'strict',
  'cache_control',
  'eager_input_streaming',
])
const CHOICE: ReadonlySet<string> = new Set(['type', 'name', 'disable_parallel_tool_use'])

/** Tools that the vendor runs or defines (`web_search_20250305`, `bash_20250124`) exist nowhere else: losses. */
export function readTools(value: unknown, losses: LossList): readonly Tool[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw invalidField('tools', 'must be a list.')
  const given: readonly unknown[] = value
  const tools: Tool[] = []
  for (const tool of given) {
    if (!isRecord(tool)) throw invalidField('tools', 'each must be an object.')
    const { type } = tool
    if (type === undefined || type === null || type === 'custom') tools.push(readTool(tool, losses))
    else losses.add(lossOf('tools[]', type))
  }
  return tools
}

function readTool(tool: Fields, losses: LossList): Tool {
  listUnknown(tool, TOOL, { path: 'tools[]', losses })
  return {
    kind: 'function',
    name: requiredText(tool, 'name', 'tools[].name'),
    description: optionalText(tool, 'description', 'tools[].description'),
    schema: optionalRecord(tool, 'input_schema'),
    strict: optionalFlag(tool, 'strict', 'tools[].strict'),
    cache: readCache(tool, 'tools[]', losses),
  }
}

type ReadChoice = { readonly toolChoice: ToolChoice | null; readonly parallelTools: boolean | null }

export function readToolChoice(
  request: Fields,
  tools: readonly Tool[],
  losses: LossList,
): ReadChoice {
  const choice = optionalRecord(request, 'tool_choice')
  if (choice === null) return { toolChoice: null, parallelTools: null }
  listUnknown(choice, CHOICE, { path: 'tool_choice', losses })
  const single = optionalFlag(
    choice,
    'disable_parallel_tool_use',
    'tool_choice.disable_parallel_tool_use',
  )
  return {
    toolChoice: readChoice(choice, tools),
    parallelTools: single === null ? null : !single,
  }
}

function readChoice(choice: Fields, tools: readonly Tool[]): ToolChoice {
  switch (choice['type']) {
    case 'auto':
      return { kind: 'auto' }
    case 'none':
      return { kind: 'none' }
    case 'any':
      if (tools.length === 0) throw unknownTool()
      return { kind: 'required' }
    case 'tool': {
      const name = requiredText(choice, 'name', 'tool_choice.name')
      if (!tools.some((tool) => tool.name === name)) throw unknownTool()
      return { kind: 'named', name }
    }
    default:
      throw invalidField('tool_choice.type', 'must be auto, any, tool or none.')
  }
}

/** The tool that must be called is one of the vendor's own: without it the answer would be another one. */
function unknownTool(): GatewayError {
  const problem = 'tool_choice: demands a tool that the target does not have.'
  return new GatewayError('not_translatable', problem, { details: { param: 'tool_choice' } })
}
