import type {
  Block,
  Conversation,
  ConversationAnswer,
  ConversationEvent,
  Grammar,
  Tool,
} from '../../contracts/conversation.ts'
import { isRecord } from '../../lib/is-record.ts'

const MEMBER = 'input'

/** Free text in, JSON out: the shape that stands for a custom tool where only functions exist. */
const WRAPPED_SCHEMA = {
  type: 'object',
  properties: { [MEMBER]: { type: 'string' } },
  required: [MEMBER],
  additionalProperties: false,
} as const

/**
 * Custom tools take free text. For a target that has only functions each becomes a function with one text argument;
 * its calls are unwrapped again on the way back.
 */
export class CustomTools {
  private readonly names: ReadonlySet<string>

  constructor(tools: readonly Tool[]) {
    this.names = new Set(tools.filter((tool) => tool.kind === 'custom').map((tool) => tool.name))
  }

  wrapRequest(conversation: Conversation): Conversation {
    return {
      ...conversation,
      tools: conversation.tools.map(wrapTool),
      turns: conversation.turns.map((turn) => ({ ...turn, blocks: turn.blocks.map(wrapCall) })),
    }
  }

  unwrapAnswer(answer: ConversationAnswer): ConversationAnswer {
    if (this.names.size === 0) return answer
    return { ...answer, blocks: answer.blocks.map((block) => this.unwrapCall(block)) }
  }

  /** One per stream: the arguments of a custom call are held until they are whole. */
  streamUnwrapper(): (event: ConversationEvent) => readonly ConversationEvent[] {
    if (this.names.size === 0) return (event) => [event]
    const held = new Map<number, string>()
    return (event) => {
      if (
        event.type === 'open' &&
        event.block.type === 'tool_call' &&
        this.names.has(event.block.name)
      ) {
        held.set(event.at, '')
        return [{ ...event, block: { ...event.block, custom: true } }]
      }
      if (event.type === 'delta') {
        const text = held.get(event.at)
        if (text === undefined) return [event]
        held.set(event.at, text + event.text)
        return []
      }
      if (event.type !== 'close' || !held.has(event.at)) return [event]
      const text = unwrap(held.get(event.at) ?? '')
      held.delete(event.at)
      return [{ type: 'delta', at: event.at, text }, event]
    }
  }

  private unwrapCall(block: Block): Block {
    if (block.type !== 'tool_call' || !this.names.has(block.name)) return block
    return { ...block, custom: true, input: unwrap(block.input) }
  }
}

function wrapTool(tool: Tool): Tool {
  if (tool.kind !== 'custom') return tool
  const { name, description, cache, grammar } = tool
  return {
    kind: 'function',
    name,
    description: grammar === undefined ? description : describeGrammar(description, grammar),
    schema: WRAPPED_SCHEMA,
    strict: null,
    cache,
  }
}

/** Nothing enforces the grammar at such a target, so the model is told of it. */
function describeGrammar(description: string | null, { syntax, definition }: Grammar): string {
  const rule = `The text must match this ${syntax} grammar:\n${definition}`
  return description === null ? rule : `${description}\n\n${rule}`
}

function wrapCall(block: Block): Block {
  if (block.type !== 'tool_call' || !block.custom) return block
  return { ...block, custom: false, input: JSON.stringify({ [MEMBER]: block.input }) }
}

/** What the model put into the one argument; when it did not keep to the shape, all that it wrote. */
function unwrap(input: string): string {
  try {
    const value: unknown = JSON.parse(input)
    if (isRecord(value) && typeof value[MEMBER] === 'string') return value[MEMBER]
  } catch {
    // Broken JSON is passed on as it is: the client's tool says what is wrong with it.
  }
  return input
}
