import {
  type Arbitrary,
  array,
  boolean,
  constant,
  constantFrom,
  integer,
  jsonValue,
  oneof,
  option,
  record,
  string,
  tuple,
  uuid,
} from 'fast-check'
import type {
  Block,
  Conversation,
  TextBlock,
  Tool,
  ToolCallBlock,
  ToolResultBlock,
  Turn,
} from '../contracts/conversation.ts'

/** A conversation with nothing in it but what is given. */
export function conversation(part: Partial<Conversation> = {}): Conversation {
  return {
    model: 'm',
    system: [],
    turns: [{ role: 'user', blocks: [textBlock('hi')] }],
    tools: [],
    toolChoice: null,
    parallelTools: null,
    sampling: {
      temperature: null,
      topP: null,
      topK: null,
      frequencyPenalty: null,
      presencePenalty: null,
      seed: null,
    },
    maxOutputTokens: null,
    stop: [],
    output: { kind: 'text' },
    reasoning: null,
    stream: false,
    user: null,
    metadata: {},
    serviceTier: null,
    cacheKey: null,
    ...part,
  }
}

export function textBlock(text: string): TextBlock {
  return { type: 'text', text, citations: [], cache: null }
}

const words = string({ minLength: 1, maxLength: 40, unit: 'grapheme' }).map((text) => `w${text}`)
const texts: Arbitrary<Block> = words.map(textBlock)
const images: Arbitrary<Block> = oneof(
  constant({ kind: 'base64', mediaType: 'image/png', data: 'iVBORw0KGgo=' } as const),
  constant({ kind: 'url', url: 'https://example.com/a.png', mediaType: null } as const),
).map((source) => ({ type: 'image', source, detail: null, cache: null }))
const documents: Arbitrary<Block> = constant({
  type: 'document',
  source: { kind: 'base64', mediaType: 'application/pdf', data: 'JVBERi0xLjQ=' },
  name: 'paper.pdf',
  cache: null,
})

const toolNames = ['get_weather', 'search', 'run'] as const
const calls: Arbitrary<ToolCallBlock> = record({
  id: uuid().map((id) => `call_${id.replaceAll('-', '').slice(0, 20)}`),
  name: constantFrom(...toolNames),
  input: array(tuple(constantFrom('a', 'b', 'city'), jsonValue({ maxDepth: 1 })), { maxLength: 3 }),
}).map(({ id, name, input }) => ({
  type: 'tool_call',
  id,
  name,
  input: JSON.stringify(Object.fromEntries(input)),
  custom: false,
  signature: null,
  cache: null,
}))

/** One question and its answer; with calls, their results and the answer to those. */
const exchanges: Arbitrary<readonly Turn[]> = oneof(
  tuple(array(oneof(texts, images, documents), { minLength: 1, maxLength: 3 }), texts).map(
    ([asked, answered]): readonly Turn[] => [
      { role: 'user', blocks: asked },
      { role: 'assistant', blocks: [answered] },
    ],
  ),
  tuple(texts, array(calls, { minLength: 1, maxLength: 3 }), words, boolean(), texts).map(
    ([asked, made, result, isError, answered]): readonly Turn[] => [
      { role: 'user', blocks: [asked] },
      { role: 'assistant', blocks: made },
      { role: 'user', blocks: made.map((call) => resultOf(call, result, isError)) },
      { role: 'assistant', blocks: [answered] },
    ],
  ),
)

function resultOf(call: ToolCallBlock, text: string, isError: boolean): ToolResultBlock {
  return { type: 'tool_result', callId: call.id, content: [textBlock(text)], isError, cache: null }
}

const TOOLS: readonly Tool[] = toolNames.map((name) => ({
  kind: 'function',
  name,
  description: `Does ${name}.`,
  schema: { type: 'object', properties: { a: { type: 'string' } } },
  strict: null,
  cache: null,
}))

/** Conversations that every protocol has words for, or nearly: what it lacks it must list. */
export const conversations: Arbitrary<Conversation> = record({
  system: array(texts, { maxLength: 2 }),
  exchanges: array(exchanges, { maxLength: 3 }),
  question: words,
  toolChoice: option(
    constantFrom(
      { kind: 'auto' } as const,
      { kind: 'none' } as const,
      { kind: 'required' } as const,
      { kind: 'named', name: 'search' } as const,
    ),
  ),
  parallelTools: option(boolean()),
  temperature: option(constantFrom(0, 0.5, 1)),
  topP: option(constantFrom(0.1, 0.9)),
  topK: option(constantFrom(5, 40)),
  seed: option(integer({ min: 0, max: 1000 })),
  maxOutputTokens: option(integer({ min: 16, max: 4096 })),
  stop: array(constantFrom('END', 'STOP'), { maxLength: 2 }),
  schema: boolean(),
  user: option(constantFrom('u-1')),
  stream: boolean(),
}).map((parts) =>
  conversation({
    system: parts.system.filter((block) => block.type === 'text'),
    turns: [...parts.exchanges.flat(), { role: 'user', blocks: [textBlock(parts.question)] }],
    tools: TOOLS,
    toolChoice: parts.toolChoice,
    parallelTools: parts.parallelTools,
    sampling: {
      temperature: parts.temperature,
      topP: parts.topP,
      topK: parts.topK,
      frequencyPenalty: null,
      presencePenalty: null,
      seed: parts.seed,
    },
    maxOutputTokens: parts.maxOutputTokens,
    stop: [...new Set(parts.stop)],
    output: parts.schema
      ? {
          kind: 'schema',
          name: 'shape',
          description: null,
          schema: { type: 'object', properties: {}, additionalProperties: false },
          strict: null,
        }
      : { kind: 'text' },
    user: parts.user,
    stream: parts.stream,
  }),
)

/** The same conversation in one spelling: neighbours of one role are one turn, neighbouring texts one text, no guessed type. */
export function normalised(said: Conversation): Conversation {
  const turns: { role: Turn['role']; blocks: Block[] }[] = []
  for (const { role, blocks } of said.turns) {
    const last = turns.at(-1)
    if (last?.role === role) last.blocks.push(...blocks)
    else turns.push({ role, blocks: [...blocks] })
  }
  return { ...said, system: joinTexts(said.system), turns: turns.map(joinTurn) }
}

function joinTurn({ role, blocks }: Turn): Turn {
  return { role, blocks: joinTexts(blocks) }
}

function joinTexts<B extends Block>(blocks: readonly B[]): readonly B[] {
  const joined: B[] = []
  for (const block of blocks) {
    const last = joined.at(-1)
    if (block.type !== 'text' || last?.type !== 'text') joined.push(untyped(block))
    else joined[joined.length - 1] = { ...last, text: `${last.text}\n${block.text}` }
  }
  return joined
}

/** Some protocols demand the media type of a URL, which is then told from its name. */
function untyped<B extends Block>(block: B): B {
  if (block.type !== 'image' || block.source.kind !== 'url') return block
  return { ...block, source: { ...block.source, mediaType: null } }
}

/** All that the model is told, in order: what may never be lost, whatever else is. */
export function wordsOf(said: Conversation): string {
  const blocks = [...said.system, ...said.turns.flatMap((turn) => turn.blocks)]
  return blocks.flatMap(wordsOfBlock).join('\n')
}

function wordsOfBlock(block: Block): readonly string[] {
  if (block.type === 'text') return [block.text]
  if (block.type === 'tool_call') return [block.name, block.input]
  return block.type === 'tool_result' ? block.content.flatMap(wordsOfBlock) : []
}
