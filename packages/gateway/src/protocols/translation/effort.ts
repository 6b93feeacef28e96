import type { Reasoning } from '../../contracts/conversation.ts'

type Effort = NonNullable<Reasoning['effort']>

/** Tokens that stand for an effort where a protocol only takes a budget. docs/reference/translation.md shows the table. */
const BUDGETS: Readonly<Record<Effort, number>> = {
  none: 0,
  minimal: 1024,
  low: 4096,
  medium: 12_288,
  high: 32_768,
  xhigh: 49_152,
  max: 65_536,
}

const EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const

export function budgetOf(effort: Effort): number {
  return BUDGETS[effort]
}

/** The effort that covers a budget, of those that every model with efforts knows, and `none` for zero. */
export function effortOf(budgetTokens: number): Effort {
  if (budgetTokens <= 0) return 'none'
  if (budgetTokens <= BUDGETS.low) return 'low'
  return budgetTokens <= BUDGETS.medium ? 'medium' : 'high'
}

/** What a client wrote as an effort; null when it is none that is known. */
export function readEffort(value: unknown): Effort | null {
  return EFFORTS.find((effort) => effort === value) ?? null
}
