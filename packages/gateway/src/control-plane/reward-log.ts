import { BUILT_IN_MODES, type CandidateView } from '../contracts/routing.ts'
import type { RecordFilter } from '../contracts/store.ts'
import type { UsageRecord } from '../contracts/usage-record.ts'
import { FEEDBACK_KIND, parseFeedbackNote } from '../data-plane/routing/feedback-notes.ts'
import { withQuality } from '../data-plane/routing/reward.ts'
import { propensities } from '../data-plane/routing/thompson-bandit.ts'
import type { Page } from './admin-api.ts'
import type { ChoiceEvaluation, ChoicePolicyBody, RewardQuery, RewardView } from './reward-api.ts'
import { AdminError } from './admin-error.ts'
import type { Control } from './control.ts'
import {
  type ChoicePolicy,
  type Estimate,
  evaluateChoices,
  type LoggedCandidate,
  type LoggedChoice,
} from './evaluate-choices.ts'
import { DEFAULT_PAGE_ITEMS } from './list-page.ts'
import { recordFilter } from './usage-view.ts'
import { timeText } from './written-times.ts'

/** The most requests that one evaluation reads. */
const MAX_CHOICES = 200_000
/** Requests between two turns of the event loop. */
const PER_TURN = 50

/** One page of records, and of them the attempts that a bandit chose; a page may be empty though `next` is not null. */
export async function listRewards(control: Control, query: RewardQuery): Promise<Page<RewardView>> {
  const page = await control.store.records.list(filterOf(control, query), {
    limit: query.limit ?? DEFAULT_PAGE_ITEMS,
    cursor: query.cursor ?? null,
  })
  const scores = await feedbackScores(control)
  const items: RewardView[] = []
  for (const record of page.items) {
    for (const view of rewardViews(record, scores.get(record.requestId) ?? null)) {
      if (query.target === undefined || view.target === query.target) items.push(view)
    }
  }
  return { items, total: page.total, next: page.next }
}

function filterOf(control: Control, query: RewardQuery): RecordFilter {
  const { target: _target, limit: _limit, cursor: _cursor, ...filter } = query
  return recordFilter(filter, control.clock.wallMs())
}

/** What clients said of answers, by request. Read once, not for each record. */
async function feedbackScores({ store }: Control): Promise<ReadonlyMap<string, number>> {
  const scores = new Map<string, number>()
  for (const { name, body } of await store.notes.list(FEEDBACK_KIND)) {
    const score = parseFeedbackNote(body)?.score
    if (score !== undefined) scores.set(name, score)
  }
  return scores
}

function rewardViews(record: UsageRecord, score: number | null): readonly RewardView[] {
  const { routing, attempts } = record
  if (routing?.arm === undefined) return []
  const { size, tools } = routing.arm
  const drawn = routing.candidates.filter(isDrawn)
  const shares = propensities(drawn)
  return attempts.flatMap((attempt, index): readonly RewardView[] => {
    const place = drawn.findIndex(({ target }) => target === attempt.target)
    const candidate = drawn[place]
    if (attempt.reward === undefined || candidate === undefined) return []
    const isLast = index === attempts.length - 1
    const feedback = isLast ? score : null
    return [
      {
        at: timeText(record.startedAtMs) ?? '',
        request_id: record.requestId,
        model: record.model,
        target: attempt.target,
        attempt: index + 1,
        size,
        tools,
        alpha: candidate.alpha,
        beta: candidate.beta,
        draw: candidate.draw,
        propensity: shares[place] ?? 0,
        success: attempt.errorClass === null,
        error_class: attempt.errorClass,
        duration_ms: attempt.durationMs,
        cost_nanousd: isLast ? record.costNanoUsd : null,
        feedback,
        reward: feedback === null ? attempt.reward : withQuality(attempt.reward, feedback),
      },
    ]
  })
}

type Drawn = CandidateView & {
  readonly alpha: number
  readonly beta: number
  readonly draw: number
}

function isDrawn(candidate: CandidateView): candidate is Drawn {
  const { alpha, beta, draw } = candidate
  return alpha !== undefined && beta !== undefined && draw !== undefined
}

/**
 * What another way to choose had earned on the requests that a bandit served, by their log. Throws `invalid_request` for a
 * policy that cannot be evaluated, `not_found` when the log says nothing of it.
 */
export async function evaluateRouting(
  control: Control,
  body: ChoicePolicyBody,
): Promise<ChoiceEvaluation> {
  const policy = choicePolicy(control, body)
  const { policy: _policy, ...filter } = body
  const scores = await feedbackScores(control)
  const choices: LoggedChoice[] = []
  let read = 0
  for await (const record of control.store.records.iterate(
    recordFilter(filter, control.clock.wallMs()),
  )) {
    read++
    const choice = choiceOf(record, scores)
    if (choice === null) continue
    choices.push(choice)
    if (choices.length >= MAX_CHOICES) break
    if (choices.length % PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  const estimate = evaluateChoices(choices, policy)
  if (estimate === null) {
    const problem = 'No request in the log was chosen among targets that this policy would choose.'
    throw new AdminError('not_found', problem)
  }
  const logged = evaluateChoices(choices, { strategy: 'logged' })
  return {
    records: read,
    truncated: choices.length >= MAX_CHOICES,
    policy: estimateView(estimate),
    logged: logged === null ? null : estimateView(logged),
  }
}

function estimateView(estimate: Estimate): ChoiceEvaluation['policy'] {
  const { value, low, high, observations, effectiveObservations } = estimate
  return { value, low, high, observations, effective_observations: effectiveObservations }
}

/** Null: no bandit chose it, or its first attempt says nothing. */
function choiceOf(record: UsageRecord, scores: ReadonlyMap<string, number>): LoggedChoice | null {
  const { routing, attempts } = record
  const [first] = attempts
  if (routing?.arm === undefined || first?.reward === undefined) return null
  const drawn = routing.candidates.filter(isDrawn)
  if (!drawn.some(({ target }) => target === first.target)) return null
  const shares = propensities(drawn)
  const score = attempts.length === 1 ? (scores.get(record.requestId) ?? null) : null
  const { size, tools } = routing.arm
  return {
    candidates: drawn.map((one, i): LoggedCandidate => loggedCandidate(one, shares[i] ?? 0)),
    chosen: first.target,
    reward: score === null ? first.reward : withQuality(first.reward, score),
    bucket: `${size}${tools ? '+tools' : ''}`,
  }
}

function loggedCandidate(one: CandidateView, propensity: number): LoggedCandidate {
  return {
    target: one.target,
    propensity,
    costNanoUsd: one.costNanoUsd ?? null,
    latencyMs: one.latencyMs ?? null,
    failureShare: one.failureShare ?? 0,
    weight: one.weight ?? 1,
  }
}

function choicePolicy(control: Control, { policy }: ChoicePolicyBody): ChoicePolicy {
  const { strategy, targets, weights, mode } = policy
  if (strategy === 'priority' && targets !== undefined) return { strategy, targets }
  if (strategy === 'weighted' && weights !== undefined) return { strategy, weights }
  if (strategy === 'latency') return { strategy }
  if (strategy === 'thompson') return { strategy: 'logged' }
  if (strategy === 'score') {
    const { modes, defaultMode } = control.plan().routing
    const known = modes.get(mode ?? defaultMode) ?? BUILT_IN_MODES[mode ?? defaultMode]
    if (known !== undefined) return { strategy, weights: known }
    throw invalid('policy.mode', `No mode "${mode}" is known.`)
  }
  const needed = strategy === 'priority' ? 'targets' : 'weights'
  throw invalid(`policy.${needed}`, `The strategy "${strategy}" needs ${needed}.`)
}

function invalid(path: string, message: string): AdminError {
  return new AdminError('invalid_request', message, { path })
}
