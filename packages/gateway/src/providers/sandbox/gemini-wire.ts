import type { Block } from './answer.ts'
import { REASONING_STATES } from './reasoning-state.ts'
import type { Frame, Turn, TurnUsage } from './turn.ts'

type Part = Readonly<Record<string, unknown>>

/**
 * Answers in the shape of Google's Gemini API.
 *
 * Source: ai.google.dev/api/generate-content and /gemini-api/docs/thought-signatures, from knowledge. Calls have no ids, as
 * from most of its models.
 */
export function geminiBody(turn: Turn): string {
  const parts = turn.blocks.flatMap((block, at) => {
    const part = wholePart(turn, block, at)
    return part === null ? [] : [part]
  })
  const candidates = Array.from({ length: turn.ask.choices }, (_, index) => ({
    content: { parts, role: 'model' },
    finishReason: finishReason(turn),
    index,
  }))
  return JSON.stringify({ candidates, ...tail(turn, turn.reported) })
}

/** Every frame is an answer of its own with the next part; a call comes whole. The last one says why it ended. */
export function* geminiFrames(turn: Turn): Generator<Frame> {
  let written = 0
  const frame = (part: Part, tokens: number, finish: string | null): Frame => {
    written += tokens
    const content = { parts: [part], role: 'model' }
    const reason = finish === null ? {} : { finishReason: finish }
    const candidates = [{ content, ...reason, index: 0 }]
    const usage = turn.reported === null ? null : soFar(turn.reported, written)
    return { text: `data: ${JSON.stringify({ candidates, ...tail(turn, usage) })}\n\n`, tokens }
  }
  for (const [at, block] of turn.blocks.entries()) {
    if (block.kind === 'tool') {
      yield frame(callPart(turn, block, at), block.pieces.length + 1, null)
    } else if (block.kind === 'text' || turn.ask.showsReasoning) {
      const thought = block.kind === 'reasoning' ? { thought: true } : {}
      for (const text of block.pieces) yield frame({ text, ...thought }, 1, null)
    } else {
      written += block.pieces.length
      yield { text: '', tokens: block.pieces.length }
    }
  }
  yield frame({ text: '' }, 0, finishReason(turn))
}

function wholePart(turn: Turn, block: Block, at: number): Part | null {
  const text = block.pieces.join('')
  if (block.kind === 'tool') return callPart(turn, block, at)
  if (block.kind === 'text') return { text }
  return turn.ask.showsReasoning ? { text, thought: true } : null
}

/** The first call after thinking carries the proof of it. */
function callPart(turn: Turn, block: Block, at: number): Part {
  const name = block.kind === 'tool' ? block.name : ''
  const args: unknown = JSON.parse(block.pieces.join(''))
  const signed = turn.blocks[at - 1]?.kind === 'reasoning'
  return {
    functionCall: { name, args },
    ...(signed ? { thoughtSignature: REASONING_STATES.gemini } : {}),
  }
}

function finishReason(turn: Turn): string {
  return turn.finish === 'length' ? 'MAX_TOKENS' : 'STOP'
}

function tail(turn: Turn, usage: TurnUsage | null): Part {
  return {
    ...(usage === null ? {} : { usageMetadata: geminiUsage(usage) }),
    modelVersion: turn.ask.model,
    responseId: turn.id,
  }
}

/** Counts in the middle of a stream: thinking comes first. */
function soFar(usage: TurnUsage, written: number): TurnUsage {
  const reasoningTokens = Math.min(usage.reasoningTokens, written)
  return { ...usage, reasoningTokens, outputTokens: Math.min(usage.outputTokens, written) }
}

/** `promptTokenCount` includes the cached tokens, `candidatesTokenCount` excludes the thinking. */
function geminiUsage(usage: TurnUsage): Part {
  const prompt =
    usage.inputTokens + usage.cacheReadTokens + usage.cacheWrite5mTokens + usage.cacheWrite1hTokens
  const { cacheReadTokens, reasoningTokens } = usage
  return {
    promptTokenCount: prompt,
    candidatesTokenCount: usage.outputTokens - reasoningTokens,
    totalTokenCount: prompt + usage.outputTokens,
    ...(cacheReadTokens === 0 ? {} : { cachedContentTokenCount: cacheReadTokens }),
    ...(reasoningTokens === 0 ? {} : { thoughtsTokenCount: reasoningTokens }),
  }
}
