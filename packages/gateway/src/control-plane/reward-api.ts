import type { PageQuery, UsageFilter } from './admin-api.ts'

/** Bodies of the admin API about the log of the bandit, in the manner of admin-api.ts. */

/** One attempt that the bandit chose, and what it was worth. Of the first attempt `propensity` is the chance that it had. */
export type RewardView = {
  readonly at: string
  readonly request_id: string
  readonly model: string | null
  readonly target: string
  readonly attempt: number
  readonly size: string
  readonly tools: boolean
  readonly alpha: number
  readonly beta: number
  readonly draw: number
  readonly propensity: number
  readonly success: boolean
  readonly error_class: string | null
  readonly duration_ms: number
  readonly cost_nanousd: number | null
  readonly feedback: number | null
  readonly reward: number
}

export type RewardQuery = UsageFilter & PageQuery & { readonly target?: string }

/** Another way to choose, and the records that it is judged by. */
export type ChoicePolicyBody = UsageFilter & {
  readonly policy: {
    readonly strategy: 'priority' | 'weighted' | 'score' | 'latency' | 'thompson'
    /** Of `priority`: target ids, the first that could be chosen is. */
    readonly targets?: readonly string[]
    /** Of `weighted`: by target id. */
    readonly weights?: Readonly<Record<string, number>>
    /** Of `score`. */
    readonly mode?: string
  }
}

/** Mean reward per request, 0 to 1, and where it lies with 99 % confidence. */
type EstimateView = {
  readonly value: number
  readonly low: number
  readonly high: number
  readonly observations: number
  readonly effective_observations: number
}

export type ChoiceEvaluation = {
  readonly records: number
  /** There were more requests than one evaluation reads. */
  readonly truncated: boolean
  readonly policy: EstimateView
  /** What was earned. */
  readonly logged: EstimateView | null
}
