import type { Tool, ToolChoice } from '../../contracts/conversation.ts'
import type { LossList } from '../../contracts/dialect.ts'
import { isRecord } from '../../lib/is-record.ts'
import { readCache, readGrammar } from '../openai-wire/parts.ts'
import {
  asList,
  asMembers,
  isStated,
  listUnknown,
  type Members,
  needMembers,
  needText,
  readBoolean,
  readList,
  readText,
} from '../openai-wire/values.ts'
import { textOrNull } from '../read-answer.ts'
import { invalidField } from '../read-body.ts'

const FUNCTION_MEMBERS: ReadonlySet<string> = new Set([
  'name',
  'description',
  'parameters',
  'strict',
  'cache_control',
])
const CUSTOM_MEMBERS: ReadonlySet<string> = new Set(['name', 'description', 'format'])

export type AskedTools = {
  readonly tools: readonly Tool[]
  readonly toolChoice: ToolChoice | null
  /** The client wrote `functions`, so it wants `function_call` back. */
  readonly legacy: boolean
}

export function readTools(request: Members, losses: LossList): AskedTools {
  const legacy = isStated(request['functions'])
  const tools = [
    ...readList(request, 'tools').flatMap((value, i) => readTool(value, `tools[${i}]`, losses)),
    ...readList(request, 'functions').map((value, i) =>
      readFunction(needMembers(value, `functions[${i}]`), `functions[${i}]`, losses),
    ),
  ]
  const choice = request['tool_choice'] ?? request['function_call']
  const at = isStated(request['tool_choice']) ? 'tool_choice' : 'function_call'
  const allowed = readAllowed(choice)
  if (allowed === null) return { tools, toolChoice: readChoice(choice, at), legacy }
  return {
    tools: tools.filter(({ name }) => allowed.names.has(name)),
    toolChoice: { kind: allowed.mode === 'required' ? 'required' : 'auto' },
    legacy,
  }
}

function readTool(value: unknown, at: string, losses: LossList): readonly Tool[] {
  const tool = needMembers(value, at)
  const { type } = tool
  if (type === 'custom')
    return [readCustom(needMembers(tool['custom'], `${at}.custom`), at, losses)]
  if (isStated(type) && type !== 'function') {
    losses.add(`tools[].type=${typeof type === 'string' ? type : '?'}`)
    return []
  }
  const read = readFunction(needMembers(tool['function'], `${at}.function`), at, losses)
  return [{ ...read, cache: readCache(tool) ?? read.cache }]
}

function readFunction(members: Members, at: string, losses: LossList): Tool {
  listUnknown(members, FUNCTION_MEMBERS, { prefix: 'tools[].function.', losses })
  const schema = members['parameters']
  if (isStated(schema) && !isRecord(schema)) {
    throw invalidField(`${at}.function.parameters`, 'must be an object.')
  }
  return {
    kind: 'function',
    name: needText(members, 'name', `${at}.function.name`),
    description: readText(members, 'description', `${at}.function.description`),
    schema: isRecord(schema) ? schema : null,
    strict: readBoolean(members, 'strict', `${at}.function.strict`),
    cache: readCache(members),
  }
}

function readCustom(members: Members, at: string, losses: LossList): Tool {
  listUnknown(members, CUSTOM_MEMBERS, { prefix: 'tools[].custom.', losses })
  const grammar = readGrammar(asMembers(members['format'])['grammar'])
  return {
    kind: 'custom',
    name: needText(members, 'name', `${at}.custom.name`),
    description: readText(members, 'description', `${at}.custom.description`),
    schema: null,
    strict: null,
    cache: null,
    ...(grammar === null ? {} : { grammar }),
  }
}

function readChoice(choice: unknown, at: string): ToolChoice | null {
  if (!isStated(choice)) return null
  if (choice === 'auto' || choice === 'none' || choice === 'required') return { kind: choice }
  // Mistral's word for it.
  if (choice === 'any') return { kind: 'required' }
  const members = needMembers(choice, at)
  const { type } = members
  const body = type === 'custom' ? members['custom'] : (members['function'] ?? members)
  return { kind: 'named', name: needText(asMembers(body), 'name', `${at}.function.name`) }
}

/** A choice among some of the tools: the others are left out, which says the same. */
function readAllowed(choice: unknown): { mode: string; names: ReadonlySet<string> } | null {
  if (!isRecord(choice) || choice['type'] !== 'allowed_tools') return null
  const allowed = asMembers(choice['allowed_tools'])
  const names = asList(allowed['tools']).flatMap((tool) => {
    const members = asMembers(tool)
    const name = textOrNull(asMembers(members['function'] ?? members['custom'])['name'])
    return name === null ? [] : [name]
  })
  return { mode: textOrNull(allowed['mode']) ?? 'auto', names: new Set(names) }
}
