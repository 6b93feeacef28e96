import type { Block, TextBlock, Turn } from '../../contracts/conversation.ts'
import type { LossList } from '../../contracts/dialect.ts'

/** Turns that alternate, and system texts that stood before the first of them. */
export type MergedTurns = { readonly system: readonly TextBlock[]; readonly turns: readonly Turn[] }

/** What stands where a conversation begins with the assistant, which providers that alternate refuse. */
const FIRST_WORD = '(The conversation begins with the assistant.)'

/**
 * For protocols whose turns alternate, the user's first, and that know no instruction between them.
 *
 * `fit` makes what a block becomes there; null drops it. In a user's turn the results of tools come first, in an
 * assistant's the thinking. An instruction in the middle becomes a text of the user in a tag, and is listed.
 */
export function mergeTurns(
  turns: readonly Turn[],
  use: {
    readonly fit: (block: Block, role: 'user' | 'assistant') => Block | null
    readonly losses: LossList
  },
): MergedTurns {
  const system: TextBlock[] = []
  const merged: { role: 'user' | 'assistant'; blocks: Block[] }[] = []
  for (const turn of turns) {
    const isSystem = turn.role === 'system'
    if (isSystem && merged.length === 0) {
      addTexts(system, turn.blocks)
      continue
    }
    if (isSystem) use.losses.add('messages[].role')
    const role = turn.role === 'assistant' ? 'assistant' : 'user'
    const blocks = fitBlocks(isSystem ? turn.blocks.map(wrapInstruction) : turn.blocks, role, use)
    if (blocks.length === 0) continue
    const last = merged.at(-1)
    if (last?.role === role) for (const block of blocks) last.blocks.push(block)
    else merged.push({ role, blocks })
  }
  if (merged[0]?.role === 'assistant') {
    use.losses.add('messages[0].role')
    merged.unshift({ role: 'user', blocks: [textBlock(FIRST_WORD)] })
  }
  return { system, turns: merged.map(orderBlocks) }
}

function fitBlocks(
  blocks: readonly Block[],
  role: 'user' | 'assistant',
  { fit }: { readonly fit: (block: Block, role: 'user' | 'assistant') => Block | null },
): Block[] {
  const fitted: Block[] = []
  for (const block of blocks) {
    const one = fit(block, role)
    if (one !== null) fitted.push(one)
  }
  return fitted
}

function addTexts(texts: TextBlock[], blocks: readonly Block[]): void {
  for (const block of blocks) if (block.type === 'text') texts.push(block)
}

function wrapInstruction(block: Block): Block {
  if (block.type !== 'text' || block.text === '') return block
  return { ...block, text: `<system-instruction>\n${block.text}\n</system-instruction>` }
}

function textBlock(text: string): TextBlock {
  return { type: 'text', text, citations: [], cache: null }
}

/** Blocks keep their order among their kind. A turn that begins right is left alone. */
function orderBlocks(turn: { role: 'user' | 'assistant'; blocks: Block[] }): Turn {
  const first = turn.role === 'user' ? 'tool_result' : 'thinking'
  const isFirst = ({ type }: Block): boolean => type === first
  const inOrder =
    turn.role === 'user'
      ? turn.blocks.findLastIndex(isFirst) < countFirst(turn.blocks, isFirst)
      : turn.blocks[0]?.type === 'thinking' || !turn.blocks.some(isFirst)
  if (inOrder) return turn
  const rest = turn.blocks.filter((block) => !isFirst(block))
  return { role: turn.role, blocks: [...turn.blocks.filter(isFirst), ...rest] }
}

/** How many blocks at the head are of the kind. */
function countFirst(blocks: readonly Block[], isFirst: (block: Block) => boolean): number {
  const end = blocks.findIndex((block) => !isFirst(block))
  return end === -1 ? blocks.length : end
}
