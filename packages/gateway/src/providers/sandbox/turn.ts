import { answerBlocks, type Block } from './answer.ts'
import type { Ask } from './ask.ts'
import type { Behaviour } from './behaviour.ts'

/** Tokens in kinds that do not overlap, except reasoning, which is a part of the output. */
export type TurnUsage = {
  readonly inputTokens: number
  readonly cacheReadTokens: number
  readonly cacheWrite5mTokens: number
  readonly cacheWrite1hTokens: number
  readonly outputTokens: number
  readonly reasoningTokens: number
}

/** One whole answer, decided before its first byte. */
export type Turn = {
  readonly id: string
  readonly createdAtSec: number
  readonly ask: Ask
  readonly behaviour: Behaviour
  readonly blocks: readonly Block[]
  readonly finish: 'stop' | 'length' | 'tool' | 'stop-sequence'
  readonly stopSequence: string | null
  /** The truth, for all choices together. */
  readonly usage: TurnUsage
  /** What the wire says; null: nothing is reported. */
  readonly reported: TurnUsage | null
}

/** A text of the wire and the output tokens that are paid once it is written. */
export type Frame = { readonly text: string; readonly tokens: number }

export type TurnFacts = {
  readonly id: string
  readonly createdAtSec: number
  readonly inputTokens: number
}

/** An answer without a cap of its own ends here; the price catalogue says the same of the sandbox's models. */
const MAX_OUTPUT_TOKENS = 16_384

export function buildTurn(ask: Ask, behaviour: Behaviour, facts: TurnFacts): Turn {
  const stopped = applyStops(answerBlocks(ask, behaviour), ask.stop)
  const capped = applyCap(stopped.blocks, ask.maxTokens ?? MAX_OUTPUT_TOKENS)
  const cut = capped.length !== stopped.blocks.length || tokensOf(capped) < tokensOf(stopped.blocks)
  const stopSequence = cut ? null : stopped.sequence
  const usage = usageOf(ask, behaviour, capped, facts.inputTokens)
  return {
    id: facts.id,
    createdAtSec: facts.createdAtSec,
    ask,
    behaviour,
    blocks: capped,
    finish: finishOf(cut, capped, stopSequence),
    stopSequence,
    usage,
    reported: reportedUsage(behaviour, usage),
  }
}

function tokensOf(blocks: readonly Block[]): number {
  return blocks.reduce((sum, block) => sum + blockTokens(block), 0)
}

function blockTokens(block: Block): number {
  return block.pieces.length + (block.kind === 'tool' ? 1 : 0)
}

function finishOf(
  cut: boolean,
  blocks: readonly Block[],
  stopSequence: string | null,
): Turn['finish'] {
  if (cut) return 'length'
  if (blocks.some((block) => block.kind === 'tool')) return 'tool'
  return stopSequence === null ? 'stop' : 'stop-sequence'
}

/** A tool call that does not fit is left out whole, as a real model's broken one would be of no use to a test. */
function applyCap(blocks: readonly Block[], maxTokens: number): readonly Block[] {
  const kept: Block[] = []
  let left = maxTokens
  for (const block of blocks) {
    const tokens = blockTokens(block)
    if (tokens <= left) kept.push(block)
    else if (block.kind !== 'tool' && left > 0) {
      kept.push({ kind: block.kind, pieces: block.pieces.slice(0, left) })
    }
    if (tokens > left) break
    left -= tokens
  }
  return kept
}

type Stopped = { readonly blocks: readonly Block[]; readonly sequence: string | null }

/** Cuts the text before the first stop sequence. A piece that holds it is cut, and still one token. */
function applyStops(blocks: readonly Block[], stops: readonly string[]): Stopped {
  const last = blocks.at(-1)
  if (stops.length === 0 || last === undefined || last.kind !== 'text') {
    return { blocks, sequence: null }
  }
  const found = firstStop(last.pieces.join(''), stops)
  if (found === null) return { blocks, sequence: null }
  const pieces: string[] = []
  let room = found.at
  for (const piece of last.pieces) {
    if (room <= 0) break
    pieces.push(piece.slice(0, room))
    room -= piece.length
  }
  return { blocks: [...blocks.slice(0, -1), { kind: 'text', pieces }], sequence: found.stop }
}

function firstStop(
  text: string,
  stops: readonly string[],
): { readonly at: number; readonly stop: string } | null {
  let first: { at: number; stop: string } | null = null
  for (const stop of stops) {
    const at = stop === '' ? -1 : text.indexOf(stop)
    if (at >= 0 && (first === null || at < first.at)) first = { at, stop }
  }
  return first
}

function usageOf(
  ask: Ask,
  behaviour: Behaviour,
  blocks: readonly Block[],
  inputTokens: number,
): TurnUsage {
  const cached = behaviour.usage === 'cached'
  const messages = ask.protocol === 'anthropic-messages'
  const cacheReadTokens = cached ? Math.floor(inputTokens / 2) : 0
  const cacheWrite5mTokens = cached && messages ? Math.floor(inputTokens / 4) : 0
  const cacheWrite1hTokens = cached && messages ? Math.floor(inputTokens / 8) : 0
  const reasoning = blocks.filter((block) => block.kind === 'reasoning')
  return {
    inputTokens: inputTokens - cacheReadTokens - cacheWrite5mTokens - cacheWrite1hTokens,
    cacheReadTokens,
    cacheWrite5mTokens,
    cacheWrite1hTokens,
    outputTokens: tokensOf(blocks) * ask.choices,
    reasoningTokens: tokensOf(reasoning) * ask.choices,
  }
}

const ZERO: TurnUsage = {
  inputTokens: 0,
  cacheReadTokens: 0,
  cacheWrite5mTokens: 0,
  cacheWrite1hTokens: 0,
  outputTokens: 0,
  reasoningTokens: 0,
}

function reportedUsage(behaviour: Behaviour, usage: TurnUsage): TurnUsage | null {
  if (behaviour.usage === 'none') return null
  return behaviour.usage === 'zero' ? ZERO : usage
}
