import { hash } from 'node:crypto'
import type { Conversation, Tool, ToolChoice, Turn } from '../../contracts/conversation.ts'
import type { NameRule } from '../../contracts/dialect.ts'

const HASH_CHARS = 8

/** A conversation whose names the target takes, and how to get the client's own names back from its answers. */
export type FittedNames = {
  readonly conversation: Conversation
  readonly clientName: (name: string) => string
}

/**
 * Makes tool names and call ids fit for a target. Stateless: the same name always becomes the same, in every turn and on
 * every process, because what replaces it holds a hash of it.
 */
export function fitNames(
  conversation: Conversation,
  rules: { readonly toolNames: NameRule; readonly callIds: NameRule },
): FittedNames {
  const original = new Map<string, string>()
  const fitName = (name: string): string => {
    const fitted = fit(name, rules.toolNames)
    if (fitted !== name) original.set(fitted, name)
    return fitted
  }
  const fitId = (id: string): string => fit(id, rules.callIds)
  const { tools, toolChoice, turns } = conversation
  return {
    conversation: {
      ...conversation,
      tools: tools.map((tool) => named(tool, fitName(tool.name))),
      toolChoice: fitChoice(toolChoice, fitName),
      turns: turns.map((turn) => fitTurn(turn, fitName, fitId)),
    },
    clientName: (name) => original.get(name) ?? name,
  }
}

function named(tool: Tool, name: string): Tool {
  return tool.name === name ? tool : { ...tool, name }
}

function fitChoice(
  choice: ToolChoice | null,
  fitName: (name: string) => string,
): ToolChoice | null {
  return choice?.kind === 'named' ? { ...choice, name: fitName(choice.name) } : choice
}

function fitTurn(
  turn: Turn,
  fitName: (name: string) => string,
  fitId: (id: string) => string,
): Turn {
  const blocks = turn.blocks.map((block) => {
    if (block.type === 'tool_call') {
      return { ...block, id: fitId(block.id), name: fitName(block.name) }
    }
    return block.type === 'tool_result' ? { ...block, callId: fitId(block.callId) } : block
  })
  return { ...turn, blocks }
}

/** The name itself where it fits; else what is left of it, with a hash so that two names never meet. */
function fit(name: string, { pattern, maxChars }: NameRule): string {
  if (name.length <= maxChars && pattern.test(name)) return name
  const kept = name.replace(/[^a-zA-Z0-9_-]/g, '_').slice(0, maxChars - HASH_CHARS - 1)
  const fitted = `${kept}_${hash('sha256', name, 'hex').slice(0, HASH_CHARS)}`
  return pattern.test(fitted) ? fitted : `x_${fitted}`.slice(0, maxChars)
}
