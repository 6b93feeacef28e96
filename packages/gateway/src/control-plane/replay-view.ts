import type { RecordFilter } from '../contracts/store.ts'
import type { LaneOutcome } from '../data-plane/what-if/replay-lane.ts'
import type {
  LaneTotals,
  ReplayExample,
  ReplayReport,
} from '../data-plane/what-if/replay-report.ts'
import type { Replayed } from '../data-plane/what-if/replay.ts'
import { timeText } from './written-times.ts'
import type { PolicyReplay, ReplayExampleView, ReplayTotals } from './what-if-api.ts'

export type ReplayScope = PolicyReplay['scope']

type Asked = {
  readonly filter: RecordFilter
  readonly scope: ReplayScope
  readonly durationMs: number
  /** Parts of the candidate without effect. */
  readonly lost: readonly string[]
}

const ALWAYS =
  'A replay knows sizes, not texts: it cannot know what another model would have answered, how long it would have taken, or what clients had done after a refusal.'
const BLIND =
  'Health and latency of targets, what the bandit has learned, scope headers, and needs such as tools are not in it; counters begin at 0 where it begins.'

/** The answer of a replay. */
export function replayView(
  { report, others, records, truncated }: Replayed,
  { filter, scope, durationMs, lost }: Asked,
): PolicyReplay {
  const { before, after, changed } = report
  return {
    since: timeText(filter.sinceMs ?? null),
    until: timeText(filter.untilMs ?? null),
    scope,
    records,
    truncated,
    passed_over: report.passedOver,
    requests: report.requests,
    recorded: { refused: report.recorded.refused, cost_nanousd: report.recorded.costNanoUsd },
    before: totalsView(before),
    after: totalsView(after),
    saved_nanousd: before.costNanoUsd - after.costNanoUsd,
    changes: changed,
    refused_by: [...report.refusedBy]
      .map(([name, counts]) => ({ name, before: counts.before, after: counts.after }))
      .toSorted((one, other) => other.after - one.after),
    by_model: report.models().map(rowView),
    by_key: report.keys().map(rowView),
    targets: report.targets().map(({ from, to, requests, beforeNanoUsd, afterNanoUsd }) => ({
      from,
      to,
      requests,
      before_nanousd: beforeNanoUsd,
      after_nanousd: afterNanoUsd,
    })),
    examples: report.examples.map(exampleView),
    others: scope.kind === 'all' ? null : { requests: others.requests, changes: others.changed },
    notes: [...lost, ...notesOf(report, truncated)],
    duration_ms: Math.round(durationMs),
  }
}

function notesOf(report: ReplayReport, truncated: boolean): readonly string[] {
  const notes = [ALWAYS, BLIND]
  const { inexact, after, before } = report
  if (inexact > 0) {
    notes.push(
      `${inexact} records are of before the output cap was recorded: what they wrote counts as what they asked for.`,
    )
  }
  const unknown = Math.max(after.unknownCost, before.unknownCost)
  if (unknown > 0) {
    notes.push(
      `${unknown} requests have no known cost: they were refused when they were made, or no price is known. Limits are charged their worst case.`,
    )
  }
  if (truncated)
    notes.push('There were more records than one replay reads; only the oldest are in it.')
  return notes
}

function totalsView({
  admitted,
  refused,
  shrunk,
  costNanoUsd,
  unknownCost,
}: LaneTotals): ReplayTotals {
  return { admitted, refused, shrunk, cost_nanousd: costNanoUsd, unknown_cost: unknownCost }
}

function rowView({ name, requests, before, after }: ReturnType<ReplayReport['models']>[number]) {
  return { name, requests, before: totalsView(before), after: totalsView(after) }
}

function exampleView({ past, change, before, after }: ReplayExample): ReplayExampleView {
  const { requestId, startedAtMs } = past.record
  return {
    request_id: requestId,
    started_at: timeText(startedAtMs),
    key_id: past.keyId,
    model: past.model,
    change,
    before: outcomeView(before),
    after: outcomeView(after),
  }
}

function outcomeView(outcome: LaneOutcome): ReplayExampleView['before'] {
  if (outcome.kind === 'refused') {
    const { limit, code } = outcome
    const nothing = { target: null, model: null, cost_nanousd: null, shrunk: false }
    return { admitted: false, ...nothing, refused_by: limit ?? code }
  }
  const { target, model, costNanoUsd, shrunk } = outcome
  return { admitted: true, target, model, refused_by: null, cost_nanousd: costNanoUsd, shrunk }
}
