import { isRecord } from '../../lib/is-record.ts'
import { type Ask, BadAsk, type Tool, type ToolChoice } from './ask.ts'
import {
  checkNumber,
  readInteger,
  readRecords,
  readStrings,
  readText,
  textOr,
} from './read-fields.ts'
import { isProof } from './reasoning-state.ts'

const MAX_OUTPUT_TOKENS = 1_000_000
const MAX_STOPS = 5
const PATH = /\/models\/([^/]+(?:\/[^/]+)*):(generateContent|streamGenerateContent|countTokens)$/

type Members = Readonly<Record<string, unknown>>

type Draft = {
  readonly texts: string[]
  imageCount: number
  lastUserText: string
  toolResults: number
  unprovenCall: string | null
}

/** Reads and checks a request to generate. Members may be spelled in camel case or with underscores. */
export function readGemini(raw: Record<string, unknown>, path: string): Ask {
  const [, name = '', method] = PATH.exec(path) ?? []
  const body = camelMembers(raw)
  const config = recordOr(body['generationConfig'])
  checkNumber(config, 'temperature', 0, 2)
  checkNumber(config, 'topP', 0, 1)
  const contents = readRecords(body, 'contents')
  if (contents.length === 0) throw new BadAsk('* contents is not specified', 'contents')
  const draft: Draft = {
    texts: [],
    imageCount: 0,
    lastUserText: '',
    toolResults: 0,
    unprovenCall: null,
  }
  readParts(draft, recordOr(body['systemInstruction']), 'system_instruction')
  contents.forEach((content, i) => readContent(draft, content, `contents[${i}]`))
  const listed = readRecords(body, 'tools')
  if (listed.length > 0) draft.texts.push(JSON.stringify(listed))
  return {
    protocol: 'gemini',
    model: decodeURIComponent(name),
    stream: method === 'streamGenerateContent',
    texts: draft.texts,
    messageCount: contents.length,
    imageCount: draft.imageCount,
    lastUserText: draft.lastUserText,
    toolResults: draft.toolResults,
    tools: listed.flatMap(readTools),
    toolChoice: readToolChoice(body['toolConfig']),
    maxTokens: readInteger(config, 'maxOutputTokens', 1, MAX_OUTPUT_TOKENS),
    stop: readStrings(config['stopSequences'], 'stopSequences', MAX_STOPS),
    choices: readInteger(config, 'candidateCount', 1, 8) ?? 1,
    streamUsage: true,
    jsonSchema: readFormat(config),
    showsReasoning: recordOr(config['thinkingConfig'])['includeThoughts'] === true,
    tellsState: true,
    unprovenCall: draft.unprovenCall,
  }
}

function readContent(draft: Draft, content: Members, at: string): void {
  const role = content['role'] ?? 'user'
  if (role !== 'user' && role !== 'model') {
    throw new BadAsk('Please use a valid role: user, model.', `${at}.role`)
  }
  const from = draft.texts.length
  const resultsBefore = draft.toolResults
  readParts(draft, content, at)
  if (role === 'model') checkProof(draft, content, at)
  if (role !== 'user' || draft.toolResults > resultsBefore) return
  draft.lastUserText = draft.texts.slice(from).join('\n')
  draft.toolResults = 0
  draft.unprovenCall = null
}

function readParts(draft: Draft, content: Members, at: string): void {
  readRecords(content, 'parts').forEach((raw, i) => {
    const part = camelMembers(raw)
    const { functionCall: call, functionResponse: result } = part
    if (typeof part['text'] === 'string') draft.texts.push(part['text'])
    else if (isRecord(call)) {
      draft.texts.push(readText(call, 'name'), JSON.stringify(call['args'] ?? {}))
    } else if (isRecord(result)) {
      readText(result, 'name')
      draft.toolResults += 1
      draft.texts.push(JSON.stringify(result['response'] ?? {}))
    } else if (isRecord(part['inlineData']) || isRecord(part['fileData'])) draft.imageCount += 1
    else if (part['thoughtSignature'] === undefined) {
      throw new BadAsk('Unable to submit request: a part has no data.', `${at}.parts[${i}]`)
    }
  })
}

/** The first call of each of the model's turns carries the proof for all of them. */
function checkProof(draft: Draft, content: Members, at: string): void {
  const first = readRecords(content, 'parts')
    .map(camelMembers)
    .find((part) => part['functionCall'] !== undefined)
  if (first !== undefined && !isProof('gemini', first['thoughtSignature'])) {
    draft.unprovenCall ??= `${at}.parts`
  }
}

function readTools(listed: Members): readonly Tool[] {
  return readRecords(camelMembers(listed), 'functionDeclarations').map((raw) => {
    const tool = camelMembers(raw)
    const schema = tool['parametersJsonSchema'] ?? lowerTypes(tool['parameters'])
    return { name: readText(tool, 'name'), schema }
  })
}

function readToolChoice(toolConfig: unknown): ToolChoice {
  const config = camelMembers(recordOr(camelMembers(recordOr(toolConfig))['functionCallingConfig']))
  if (config['mode'] === 'NONE') return { kind: 'none' }
  if (config['mode'] !== 'ANY') return { kind: 'auto' }
  const names = readStrings(config['allowedFunctionNames'], 'allowedFunctionNames', 128)
  const [name] = names
  return name !== undefined && names.length === 1 ? { kind: 'named', name } : { kind: 'any' }
}

function readFormat(config: Members): unknown {
  if (textOr(config['responseMimeType'], '') !== 'application/json') return undefined
  return config['responseJsonSchema'] ?? lowerTypes(config['responseSchema']) ?? null
}

/** Google's own schemas write types in capitals. */
function lowerTypes(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(lowerTypes)
  if (!isRecord(schema)) return schema
  const entries = Object.entries(schema).map(([name, value]) =>
    name === 'type' && typeof value === 'string'
      ? [name, value.toLowerCase()]
      : [name, lowerTypes(value)],
  )
  return Object.fromEntries(entries)
}

function recordOr(value: unknown): Record<string, unknown> {
  return isRecord(value) ? camelMembers(value) : {}
}

function camelMembers(record: Members): Record<string, unknown> {
  const entries = Object.entries(record).map(([name, value]) => [
    name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    value,
  ])
  return Object.fromEntries(entries)
}
