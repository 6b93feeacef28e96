import type { Reasoning } from '../../contracts/conversation.ts'
import { invalidField } from '../read-body.ts'
import { budgetOf, effortOf } from '../translation/effort.ts'
import { messageMembers } from './spelling.ts'

type Effort = NonNullable<Reasoning['effort']>

/** Models that know budgets only. Later ones take levels, and refuse some budgets. */
const BUDGET_MODELS = /gemini-(?:1|2|flash-lite-latest)|gemini-robotics-er-1/
/** The largest budgets; from general knowledge of ai.google.dev/gemini-api/docs/thinking. */
const MAX_FLASH_BUDGET = 24_576
const MAX_BUDGET = 32_768
const AUTOMATIC = -1

const LEVELS: Readonly<Record<Effort, string>> = {
  none: 'MINIMAL',
  minimal: 'MINIMAL',
  low: 'LOW',
  medium: 'MEDIUM',
  high: 'HIGH',
  xhigh: 'HIGH',
  max: 'HIGH',
}

const EFFORTS: ReadonlyMap<string, Effort> = new Map([
  ['MINIMAL', 'minimal'],
  ['LOW', 'low'],
  ['MEDIUM', 'medium'],
  ['HIGH', 'high'],
])

/** Models that know budgets only take no levels. */
export function takesBudgets(model: string): boolean {
  return BUDGET_MODELS.test(model)
}

/** `thinkingConfig` of a client; null: it has none. */
export function readThinking(value: unknown): Reasoning | null {
  const config = messageMembers(value, 'generationConfig.thinkingConfig')
  if (config === null) return null
  const { thinkingLevel, thinkingBudget, includeThoughts } = config
  const budget = readBudget(thinkingBudget)
  const level = typeof thinkingLevel === 'string' ? thinkingLevel.toUpperCase() : ''
  return {
    effort: budget === 0 ? 'none' : (EFFORTS.get(level) ?? null),
    budgetTokens: budget === null || budget <= 0 ? null : budget,
    shown: typeof includeThoughts === 'boolean' ? includeThoughts : null,
  }
}

function readBudget(value: unknown): number | null {
  if (value === undefined || value === null) return null
  if (typeof value !== 'number' || !Number.isInteger(value) || value < AUTOMATIC) {
    throw invalidField('generationConfig.thinkingConfig.thinkingBudget', 'must be a whole number.')
  }
  return value
}

/** `thinkingConfig` for a model, as JSON; null: nothing was asked. */
export function thinkingJson(reasoning: Reasoning | null, model: string): string | null {
  if (reasoning === null) return null
  const { effort, budgetTokens, shown } = reasoning
  const members: string[] = []
  if (takesBudgets(model)) {
    const budget = budgetTokens ?? (effort === null ? null : budgetOf(effort))
    if (budget !== null) members.push(`"thinkingBudget":${Math.min(budget, maxBudget(model))}`)
  } else {
    const asked = effort ?? (budgetTokens === null ? null : effortOf(budgetTokens))
    if (asked !== null) members.push(`"thinkingLevel":"${LEVELS[asked]}"`)
  }
  if (shown !== null) members.push(`"includeThoughts":${shown}`)
  return members.length === 0 ? null : `{${members.join(',')}}`
}

function maxBudget(model: string): number {
  return model.includes('flash') ? MAX_FLASH_BUDGET : MAX_BUDGET
}
