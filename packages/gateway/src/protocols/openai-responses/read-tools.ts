import type { Tool, ToolChoice } from '../../contracts/conversation.ts'
import type { LossList } from '../../contracts/dialect.ts'
import { isRecord } from '../../lib/is-record.ts'
import { readGrammar } from '../openai-wire/parts.ts'
import {
  asList,
  asMembers,
  isStated,
  listUnknown,
  type Members,
  needMembers,
  needText,
  readList,
  readText,
} from '../openai-wire/values.ts'
import { textOrNull } from '../read-answer.ts'
import { invalidField } from '../read-body.ts'

const FUNCTION_MEMBERS: ReadonlySet<string> = new Set([
  'type',
  'name',
  'description',
  'parameters',
  'strict',
])
const CUSTOM_MEMBERS: ReadonlySet<string> = new Set(['type', 'name', 'description', 'format'])
const CHOICES = ['auto', 'none', 'required'] as const

/** Functions and custom tools. Those that the provider itself runs, or knows by its own rules, are listed. */
export function readTools(
  request: Members,
  losses: LossList,
): { readonly tools: readonly Tool[]; readonly toolChoice: ToolChoice | null } {
  const tools = readList(request, 'tools').flatMap((value, i) => {
    const tool = readTool(needMembers(value, `tools[${i}]`), `tools[${i}]`, losses)
    return tool === null ? [] : [tool]
  })
  const choice = request['tool_choice']
  if (!isRecord(choice) || choice['type'] !== 'allowed_tools') {
    return { tools, toolChoice: readChoice(choice, losses) }
  }
  const names = new Set(asList(choice['tools']).map((tool) => asMembers(tool)['name']))
  return {
    tools: tools.filter(({ name }) => names.has(name)),
    toolChoice: { kind: choice['mode'] === 'required' ? 'required' : 'auto' },
  }
}

function readTool(tool: Members, at: string, losses: LossList): Tool | null {
  if (tool['type'] === 'function') return readFunction(tool, at, losses)
  if (tool['type'] === 'custom') return readCustom(tool, at, losses)
  losses.add(`tools[].type=${textOrNull(tool['type']) ?? '?'}`)
  return null
}

/** Functions are strict here unless the client says no; elsewhere only what is asked for is strict. */
function readFunction(tool: Members, at: string, losses: LossList): Tool {
  listUnknown(tool, FUNCTION_MEMBERS, { prefix: 'tools[].', losses })
  const schema = tool['parameters']
  if (isStated(schema) && !isRecord(schema)) {
    throw invalidField(`${at}.parameters`, 'must be an object.')
  }
  return {
    kind: 'function',
    name: needText(tool, 'name', `${at}.name`),
    description: readText(tool, 'description', `${at}.description`),
    schema: isRecord(schema) ? schema : null,
    strict: tool['strict'] === true ? true : null,
    cache: null,
  }
}

function readCustom(tool: Members, at: string, losses: LossList): Tool {
  listUnknown(tool, CUSTOM_MEMBERS, { prefix: 'tools[].', losses })
  const grammar = readGrammar(tool['format'])
  return {
    kind: 'custom',
    name: needText(tool, 'name', `${at}.name`),
    description: readText(tool, 'description', `${at}.description`),
    schema: null,
    strict: null,
    cache: null,
    ...(grammar === null ? {} : { grammar }),
  }
}

function readChoice(choice: unknown, losses: LossList): ToolChoice | null {
  if (!isStated(choice)) return null
  const kind = CHOICES.find((one) => one === choice)
  if (kind !== undefined) return { kind }
  const members = needMembers(choice, 'tool_choice')
  if (members['type'] === 'function' || members['type'] === 'custom') {
    return { kind: 'named', name: needText(members, 'name', 'tool_choice.name') }
  }
  losses.add('tool_choice')
  return null
}
