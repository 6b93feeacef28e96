import type { OutputFormat, Tool, ToolChoice } from '../../contracts/conversation.ts'
import type { RenderOptions } from '../../contracts/dialect.ts'
import type { Members } from '../openai-wire/values.ts'

/** A schema needs a name here. */
const DEFAULT_SCHEMA_NAME = 'response'
const NO_PARAMETERS = { type: 'object', properties: {} } as const

/** What is not said to be strict must be said not to be: this protocol's default is strict. */
export function writeTool(tool: Tool, { losses }: Pick<RenderOptions, 'losses'>): Members {
  if (tool.cache !== null) losses.add('cache_control')
  const { name, description, grammar } = tool
  const described = description === null ? { name } : { name, description }
  if (tool.kind === 'custom') {
    const format = grammar === undefined ? {} : { format: { type: 'grammar', ...grammar } }
    return { type: 'custom', ...described, ...format }
  }
  const parameters = tool.schema ?? NO_PARAMETERS
  return { type: 'function', ...described, parameters, strict: tool.strict ?? false }
}

export function writeChoice(choice: ToolChoice, tools: readonly Tool[]): unknown {
  if (choice.kind !== 'named') return choice.kind
  const { name } = choice
  const custom = tools.some((tool) => tool.kind === 'custom' && tool.name === name)
  return { type: custom ? 'custom' : 'function', name }
}

export function writeFormat(output: OutputFormat): Members {
  if (output.kind === 'text') return { type: 'text' }
  if (output.kind === 'json') return { type: 'json_object' }
  const { name, description, schema, strict } = output
  return {
    type: 'json_schema',
    name: name ?? DEFAULT_SCHEMA_NAME,
    ...(description === null ? {} : { description }),
    schema,
    ...(strict === null ? {} : { strict }),
  }
}
