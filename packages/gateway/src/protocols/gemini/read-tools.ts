import type { Tool, ToolChoice } from '../../contracts/conversation.ts'
import type { LossList } from '../../contracts/dialect.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { isRecord } from '../../lib/is-record.ts'
import { invalidField } from '../read-body.ts'
import { listUnread, type Members, optionalText } from './members.ts'
import { toJsonSchema } from './schema.ts'
import { camelMembers, messageMembers, repeated } from './spelling.ts'

const AT = 'tools[].functionDeclarations[]'
const DECLARATION_READ: ReadonlySet<string> = new Set([
  'name',
  'description',
  'parameters',
  'parametersJsonSchema',
])
/** The provider's own tools whose absence makes an answer poorer. Without any other the answer would be wrong. */
const SEARCHES: ReadonlySet<string> = new Set([
  'googleSearch',
  'googleSearchRetrieval',
  'enterpriseWebSearch',
  'googleMaps',
  'urlContext',
  'codeExecution',
])

export function readTools(value: unknown, losses: LossList): readonly Tool[] {
  const tools: Tool[] = []
  for (const entry of repeated(value)) {
    if (!isRecord(entry)) throw invalidField('tools[]', 'must be an object.')
    const tool = camelMembers(entry, 'tools[]')
    for (const declared of repeated(tool['functionDeclarations'])) {
      tools.push(readDeclaration(declared, losses))
    }
    for (const name in tool) {
      if (name !== 'functionDeclarations' && tool[name] !== null) leaveOut(name, losses)
    }
  }
  return tools
}

function leaveOut(name: string, losses: LossList): void {
  const param = `tools[].${name}`
  if (SEARCHES.has(name)) return losses.add(param)
  throw new GatewayError('not_translatable', `${param}: the target has no such tool.`, {
    details: { param },
  })
}

function readDeclaration(value: unknown, losses: LossList): Tool {
  if (!isRecord(value)) throw invalidField(AT, 'must be an object.')
  const declared = camelMembers(value, AT)
  listUnread(declared, DECLARATION_READ, { at: AT, losses })
  const name = optionalText(declared, 'name', AT)
  if (name === null || name === '') throw invalidField(`${AT}.name`, 'is required.')
  return {
    kind: 'function',
    name,
    description: optionalText(declared, 'description', AT),
    schema: readSchema(declared),
    strict: null,
    cache: null,
  }
}

function readSchema({ parameters, parametersJsonSchema }: Members): Tool['schema'] {
  if (isRecord(parametersJsonSchema)) return parametersJsonSchema
  return isRecord(parameters) ? toJsonSchema(parameters) : null
}

const CALLING = 'toolConfig.functionCallingConfig'
const CONFIG_READ: ReadonlySet<string> = new Set(['functionCallingConfig'])
/** `streamFunctionCallArguments`: how the answer is cut into chunks, not what it says. */
const CALLING_READ: ReadonlySet<string> = new Set([
  'mode',
  'allowedFunctionNames',
  'streamFunctionCallArguments',
])

export function readToolChoice(value: unknown, losses: LossList): ToolChoice | null {
  const config = messageMembers(value, 'toolConfig')
  if (config === null) return null
  listUnread(config, CONFIG_READ, { at: 'toolConfig', losses })
  const calling = messageMembers(config['functionCallingConfig'], CALLING)
  if (calling === null) return null
  listUnread(calling, CALLING_READ, { at: CALLING, losses })
  const mode = optionalText(calling, 'mode', CALLING)?.toUpperCase() ?? 'MODE_UNSPECIFIED'
  const names = repeatedNames(calling['allowedFunctionNames'])
  if (mode === 'NONE') return { kind: 'none' }
  if (mode === 'ANY') return required(names, losses)
  if (names.length > 0) losses.add(`${CALLING}.allowedFunctionNames`)
  if (mode === 'MODE_UNSPECIFIED') return null
  if (mode === 'VALIDATED') losses.add(`${CALLING}.mode`)
  else if (mode !== 'AUTO') throw invalidField(`${CALLING}.mode`, 'is none that is known.')
  return { kind: 'auto' }
}

function required(names: readonly string[], losses: LossList): ToolChoice {
  const [name] = names
  if (name !== undefined && names.length === 1) return { kind: 'named', name }
  if (names.length > 1) losses.add(`${CALLING}.allowedFunctionNames`)
  return { kind: 'required' }
}

function repeatedNames(value: unknown): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : []
  return list.filter((name) => typeof name === 'string')
}
