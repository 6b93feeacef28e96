import type { Reasoning } from '../../contracts/conversation.ts'
import type { LossList } from '../../contracts/dialect.ts'
import { invalidField } from '../read-body.ts'
import { readEffort } from '../translation/effort.ts'
import { type Fields, listUnknown, optionalNumber, optionalRecord } from './fields.ts'

const THINKING: ReadonlySet<string> = new Set(['type', 'budget_tokens', 'display'])

/** `thinking` says whether and how much, `output_config.effort` how much for models that decide themselves. */
export function readReasoning(request: Fields, losses: LossList): Reasoning | null {
  const config = optionalRecord(request, 'output_config')
  const effort = readEffortMember(config?.['effort'])
  const thinking = optionalRecord(request, 'thinking')
  if (thinking === null) {
    return effort === null ? null : { effort, budgetTokens: null, shown: null }
  }
  listUnknown(thinking, THINKING, { path: 'thinking', losses })
  const shown = readShown(thinking['display'], losses)
  switch (thinking['type']) {
    case 'enabled':
      // Every model that takes a budget shows its thinking unless told not to.
      return {
        effort,
        budgetTokens: optionalNumber(thinking, 'budget_tokens'),
        shown: shown ?? true,
      }
    case 'disabled':
      if (effort !== null) losses.add('output_config.effort')
      return { effort: 'none', budgetTokens: null, shown }
    case 'adaptive':
      return { effort, budgetTokens: null, shown }
    default:
      losses.add('thinking.type')
      return { effort, budgetTokens: null, shown }
  }
}

function readEffortMember(value: unknown): Reasoning['effort'] {
  if (value === undefined || value === null) return null
  const effort = readEffort(value)
  if (effort === null) throw invalidField('output_config.effort', 'is no known effort.')
  return effort
}

/** Absent, it is the model's own choice. */
function readShown(display: unknown, losses: LossList): boolean | null {
  if (display === 'summarized') return true
  if (display === 'omitted') return false
  if (display !== undefined && display !== null) losses.add('thinking.display')
  return null
}
