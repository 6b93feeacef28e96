import { isRecord } from '../../lib/is-record.ts'
import type { Ask, Tool } from './ask.ts'
import type { Behaviour } from './behaviour.ts'
import { exampleOf } from './json-example.ts'

/** A part of an answer. Each piece is one output token; a tool call's opening is one more. */
export type Block =
  | { readonly kind: 'text' | 'reasoning'; readonly pieces: readonly string[] }
  | {
      readonly kind: 'tool'
      readonly id: string
      readonly name: string
      /** Takes free text; then the pieces are that text. */
      readonly custom: boolean
      /** Fragments of the arguments' JSON. */
      readonly pieces: readonly string[]
    }

/** Every word, with its leading space, is one token of o200k_base and of cl100k_base; a test proves it. */
const WORDS: readonly string[] = [
  'the',
  'road',
  'is',
  'open',
  'and',
  'every',
  'car',
  'that',
  'comes',
  'here',
  'has',
  'to',
  'stop',
  'for',
  'a',
  'short',
  'time',
  'so',
  'we',
  'can',
  'count',
  'it',
  'then',
  'the',
  'gate',
  'goes',
  'up',
]
const MINI: readonly (readonly string[])[] = [
  ['Hello', ' from', ' the', ' test', ' model', '.', ' Your', ' message', ' was', ' received', '.'],
  ['This', ' is', ' a', ' fixed', ' answer', '.', ' No', ' model', ' was', ' asked', '.'],
  ['The', ' gate', ' is', ' open', '.', ' This', ' answer', ' is', ' always', ' the', ' same', '.'],
]
const LARGE_TOKENS = 120
/** A private-use letter that the writer turns into a broken UTF-8 sequence. */
export const BROKEN_LETTER = '\u{E000}'

/** Deterministic: the same request has the same answer. */
export function answerBlocks(ask: Ask, behaviour: Behaviour): readonly Block[] {
  const calls = toolCalls(ask, behaviour)
  const reasoning: Block[] =
    behaviour.reasoningTokens > 0
      ? [{ kind: 'reasoning', pieces: words(behaviour.reasoningTokens) }]
      : []
  if (calls.length > 0) return [...reasoning, ...calls]
  return [...reasoning, { kind: 'text', pieces: textPieces(ask, behaviour) }]
}

function textPieces(ask: Ask, behaviour: Behaviour): readonly string[] {
  if (behaviour.hugeBytes > 0) return ['x'.repeat(behaviour.hugeBytes), ' end']
  if (behaviour.badUtf8) return ['broken', ` ${BROKEN_LETTER}`, ' letter']
  if (ask.jsonSchema !== undefined) return pieces(JSON.stringify(exampleOf(ask.jsonSchema)))
  if (behaviour.answer === 'echo') return pieces(ask.lastUserText)
  if (behaviour.answer === 'words') return words(behaviour.words)
  if (behaviour.answer === 'large') return words(LARGE_TOKENS)
  return MINI[hash(ask.lastUserText) % MINI.length] ?? []
}

const MAX_REMEMBERED = 64
const rememberedWords = new Map<number, readonly string[]>()

/** Exactly `count` tokens of text. */
export function words(count: number): readonly string[] {
  const known = rememberedWords.get(count)
  if (known !== undefined) return known
  const made = Array.from({ length: count }, (_, i) => {
    const word = WORDS[i % WORDS.length] ?? ''
    return i === 0 ? word : ` ${word}`
  })
  if (rememberedWords.size < MAX_REMEMBERED) rememberedWords.set(count, made)
  return made
}

/** Splits text into pieces like tokens; joined they are the text again. */
function pieces(text: string): readonly string[] {
  return text.match(/ ?[\p{L}\p{M}]{1,6}|\p{N}{1,3}|\s+|[^\p{L}\p{M}\p{N}\s]{1,2}/gu) ?? []
}

function toolCalls(ask: Ask, behaviour: Behaviour): readonly Block[] {
  if (ask.tools.length === 0 || ask.toolChoice.kind === 'none') return []
  if (behaviour.scripted) {
    const scripted = scriptedCalls(ask)
    if (scripted.length > 0) return scripted
  }
  if (ask.toolResults > 0) return []
  return chosenTools(ask, behaviour).map((tool, i) => toolBlock(ask, tool, i))
}

function chosenTools(ask: Ask, behaviour: Behaviour): readonly Tool[] {
  const choice = ask.toolChoice
  if (choice.kind === 'named') return ask.tools.filter((tool) => tool.name === choice.name)
  const wanted = choice.kind === 'any' ? Math.max(1, behaviour.toolCalls) : behaviour.toolCalls
  return Array.from({ length: wanted }, (_, i) => ask.tools[i % ask.tools.length]).filter(
    (tool) => tool !== undefined,
  )
}

const SCRIPT = /\[\[tool:([\w.-]+)\s*(\{.*?\})?\s*\]\]/gs

/**
 * The calls of a script's next step: as many are done as there are tool results since. None: no step is left.
 *
 * `[[tool:A {}]]+[[tool:B {}]]` is one step with two calls.
 */
function scriptedCalls(ask: Ask): readonly Block[] {
  const calls = [...ask.lastUserText.matchAll(SCRIPT)]
  const next = calls.slice(ask.toolResults)
  const last = next.findIndex((call) => !isJoined(ask.lastUserText, call))
  const step = last === -1 ? next : next.slice(0, last + 1)
  const known = step.filter(([, name]) => ask.tools.some((tool) => tool.name === name))
  return known.map(([, name = '', json = '{}'], i) => toolCall(ask, name, i, json))
}

/** Whether the next call belongs to the same step. */
function isJoined(script: string, { 0: text, index }: RegExpExecArray): boolean {
  return script[index + text.length] === '+'
}

function toolBlock(ask: Ask, tool: Tool, index: number): Block {
  return toolCall(ask, tool.name, index, JSON.stringify(exampleOf(tool.schema ?? null)))
}

function toolCall(ask: Ask, name: string, index: number, json: string): Block {
  const prefix = CALL_PREFIXES[ask.protocol]
  const id = `${prefix}${hash(ask.lastUserText + json).toString(36)}${ask.toolResults}${index}`
  const custom = ask.tools.some((tool) => tool.name === name && tool.custom === true)
  return { kind: 'tool', id, name, custom, pieces: pieces(custom ? freeText(json) : json) }
}

const CALL_PREFIXES: Readonly<Record<Ask['protocol'], string>> = {
  'openai-chat': 'call_',
  'openai-responses': 'call_',
  'anthropic-messages': 'toolu_',
  gemini: '',
}

/** Scripts and examples are JSON; a tool of free text gets what stands in `input`. */
function freeText(json: string): string {
  const input: unknown = JSON.parse(json)
  return isRecord(input) && typeof input['input'] === 'string' ? input['input'] : json
}

/** FNV-1a over the first 256 UTF-16 units: enough to vary answers, cheap on long prompts. */
export function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < Math.min(text.length, 256); i++) {
    value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  }
  return value >>> 0
}
