import type { Conversation, Reasoning, Turn } from '../contracts/conversation.ts'
import type { LossList } from '../contracts/dialect.ts'
import { budgetOf, effortOf } from './translation/effort.ts'

type Effort = NonNullable<Reasoning['effort']>

/** Anthropic's least budget, which must also be less than the cap of the answer. */
const MIN_BUDGET_TOKENS = 1024
/** A budget that leaves no room is lowered to this part of the cap. */
const BUDGET_SHARE = 0.8
const ADAPTIVE_SINCE = 4.06
const NO_SAMPLING_SINCE = 4.07
const ONE_SAMPLING_SINCE = 4.01
const CLAUDE = /claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)/

/**
 * What a model of the Claude family takes, by its name, wherever it is served.
 *
 * From 4.6 on models think adaptively; 4.7 refuses budgets and sampling; from 4.1 on temperature and top_p exclude each
 * other. Other vendors' models that speak the same protocol take budgets.
 *
 * @see https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking (from general knowledge; that 4.7 removed
 * sampling and budgets read 2026-11-21 in its migration guides, and in the official client 1.11, which has neither member)
 */
export type ClaudeRules = {
  readonly adaptive: boolean
  readonly sampling: 'free' | 'one' | 'none'
}

export function claudeRules(model: string): ClaudeRules {
  if (!model.includes('claude')) return { adaptive: false, sampling: 'free' }
  const match = CLAUDE.exec(model)
  // A name without a version (`claude-mythos-preview`) is a new one: the old ones all have theirs.
  const version = match === null ? Infinity : Number(match[1]) + Number(match[2] ?? 0) / 100
  const one = version >= ONE_SAMPLING_SINCE ? 'one' : 'free'
  return {
    adaptive: version >= ADAPTIVE_SINCE,
    sampling: version >= NO_SAMPLING_SINCE ? 'none' : one,
  }
}

/** `unset`: the client said nothing. `effort` goes beside the thinking, for models that think adaptively. */
export type ThinkingPlan = {
  readonly mode: 'unset' | 'disabled' | 'adaptive' | 'enabled'
  readonly budgetTokens: number
  readonly effort: Effort | null
}

const UNSET: ThinkingPlan = { mode: 'unset', budgetTokens: 0, effort: null }

/**
 * How a Claude model is asked to think.
 *
 * Thinking gives way to what it excludes, and is then listed as a loss: a forced tool, a sampling of the client's own, a
 * tool call whose thinking is not there, and a cap without room for it.
 */
export function planThinking(
  conversation: Conversation,
  turns: readonly Turn[],
  use: { readonly maxTokens: number; readonly losses: LossList },
): ThinkingPlan {
  const { reasoning } = conversation
  if (reasoning === null) return UNSET
  const rules = claudeRules(conversation.model)
  const effort = rules.adaptive ? writtenEffort(reasoning, use.losses) : null
  if (reasoning.effort === 'none') return { mode: 'disabled', budgetTokens: 0, effort: null }
  if (isExcluded(conversation, rules)) return turnOff('reasoning', effort, use.losses)
  if (rules.adaptive) return { mode: 'adaptive', budgetTokens: 0, effort }
  if (lacksThinking(turns)) return turnOff('messages[].thinking', effort, use.losses)
  const wanted = reasoning.budgetTokens ?? budgetOf(reasoning.effort ?? 'medium')
  if (use.maxTokens <= MIN_BUDGET_TOKENS) return turnOff('reasoning', effort, use.losses)
  const budgetTokens = fitBudget(wanted, use.maxTokens)
  if (reasoning.budgetTokens !== null && budgetTokens !== wanted) use.losses.add('reasoning.budget')
  return { mode: 'enabled', budgetTokens, effort }
}

function turnOff(field: string, effort: Effort | null, losses: LossList): ThinkingPlan {
  losses.add(field)
  return { mode: 'disabled', budgetTokens: 0, effort }
}

/** Null: none to write. Adaptive models know no `minimal`, and no budgets. */
function writtenEffort({ effort, budgetTokens }: Reasoning, losses: LossList): Effort | null {
  if (budgetTokens !== null) losses.add('reasoning.budget')
  const wanted = effort ?? (budgetTokens === null ? null : effortOf(budgetTokens))
  if (wanted === 'minimal') return 'low'
  return wanted === 'none' ? null : wanted
}

/** Refused together with thinking; models that take no sampling at all do not get the client's. */
function isExcluded({ toolChoice, sampling }: Conversation, rules: ClaudeRules): boolean {
  if (toolChoice?.kind === 'required' || toolChoice?.kind === 'named') return true
  if (rules.sampling === 'none') return false
  const { temperature, topP, topK } = sampling
  return (temperature ?? 1) < 1 || topK !== null || (topP !== null && topP < 0.95)
}

/** A budget demands that the last assistant turn begins with its thinking, when tools were called there or it is a prefill. */
function lacksThinking(turns: readonly Turn[]): boolean {
  const last = turns.findLast(({ role }) => role === 'assistant')
  if (last === undefined || last.blocks[0]?.type === 'thinking') return false
  return last === turns.at(-1) || last.blocks.some(({ type }) => type === 'tool_call')
}

function fitBudget(wanted: number, maxTokens: number): number {
  const budget = Math.max(MIN_BUDGET_TOKENS, wanted)
  if (budget < maxTokens) return budget
  return Math.max(MIN_BUDGET_TOKENS, Math.floor(maxTokens * BUDGET_SHARE))
}

/** Sampling that the model takes; the rest is listed. */
export function fitSampling(
  conversation: Conversation,
  losses: LossList,
): { temperature: number | null; topP: number | null } {
  const { temperature, topP } = conversation.sampling
  const rule = claudeRules(conversation.model).sampling
  if (rule === 'none') {
    if (temperature !== null && temperature !== 1) losses.add('temperature')
    if (topP !== null && topP !== 1) losses.add('top_p')
    return { temperature: null, topP: null }
  }
  const both = rule === 'one' && temperature !== null && topP !== null
  if (both && topP !== 1) losses.add('top_p')
  return { temperature: fitTemperature(temperature, losses), topP: both ? null : topP }
}

export function fitTopK({ model, sampling }: Conversation, losses: LossList): number | null {
  if (sampling.topK === null || claudeRules(model).sampling !== 'none') return sampling.topK
  losses.add('top_k')
  return null
}

/** Others count to 2. */
function fitTemperature(temperature: number | null, losses: LossList): number | null {
  if (temperature === null || temperature <= 1) return temperature
  losses.add('temperature')
  return 1
}
