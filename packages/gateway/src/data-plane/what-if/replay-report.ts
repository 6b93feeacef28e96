import type { PassedOver, PastRequest } from './past-request.ts'
import type { LaneOutcome } from './replay-lane.ts'

/** Names of models come from clients; beyond these, rows are added up under `OTHERS`. */
const MOST_ROWS = 1000
const OTHERS = '(others)'
const MOST_EXAMPLES = 20

/** One of the two lanes. Costs: integer nano-US-dollars. */
export type LaneTotals = {
  admitted: number
  refused: number
  /** Answers that a cap would have cut. */
  shrunk: number
  costNanoUsd: number
  /** Admitted requests whose cost nobody knows. */
  unknownCost: number
}

type ReplayRow = {
  readonly name: string
  readonly requests: number
  readonly before: LaneTotals
  readonly after: LaneTotals
}

type TargetRow = {
  readonly from: string
  readonly to: string
  requests: number
  beforeNanoUsd: number
  afterNanoUsd: number
}

export type ReplayChange = 'refused' | 'admitted' | 'shrunk' | 'not_shrunk' | 'target'

export type ReplayExample = {
  readonly past: PastRequest
  readonly change: ReplayChange
  readonly before: LaneOutcome
  readonly after: LaneOutcome
}

type Row = { requests: number; readonly before: LaneTotals; readonly after: LaneTotals }

/** What two lanes made of the same requests. Bounded in memory, however many there are. */
export class ReplayReport {
  requests = 0
  /** Without a limit's name in older records: the output cap was taken from the answer. */
  inexact = 0
  readonly before: LaneTotals = newTotals()
  readonly after: LaneTotals = newTotals()
  readonly recorded: { refused: number; costNanoUsd: number } = { refused: 0, costNanoUsd: 0 }
  readonly changed: Record<ReplayChange, number> = {
    refused: 0,
    admitted: 0,
    shrunk: 0,
    not_shrunk: 0,
    target: 0,
  }
  readonly passedOver: Record<PassedOver, number> = {
    no_key: 0,
    not_read: 0,
    from_cache: 0,
    unknown_endpoint: 0,
  }
  readonly examples: ReplayExample[] = []
  readonly refusedBy: Map<string, { before: number; after: number }> = new Map()
  readonly #models = new Map<string, Row>()
  readonly #keys = new Map<string, Row>()
  readonly #targets = new Map<string, TargetRow>()

  add(past: PastRequest, before: LaneOutcome, after: LaneOutcome): void {
    this.requests += 1
    if (!past.isExact) this.inexact += 1
    this.recorded.costNanoUsd += past.record.costNanoUsd ?? 0
    if (past.kind === 'unknown') this.recorded.refused += 1
    count(this.before, before)
    count(this.after, after)
    for (const row of [rowOf(this.#models, past.model), rowOf(this.#keys, past.keyId)]) {
      row.requests += 1
      count(row.before, before)
      count(row.after, after)
    }
    this.#noteRefusal(before, 'before')
    this.#noteRefusal(after, 'after')
    if (before.kind === 'admitted' && after.kind === 'admitted') this.#noteTargets(before, after)
    this.#noteChange(past, before, after)
  }

  models(): readonly ReplayRow[] {
    return rowsOf(this.#models)
  }

  keys(): readonly ReplayRow[] {
    return rowsOf(this.#keys)
  }

  /** Only where the target is another one. */
  targets(): readonly TargetRow[] {
    return [...this.#targets.values()].toSorted((one, other) => other.requests - one.requests)
  }

  #noteRefusal(outcome: LaneOutcome, lane: 'before' | 'after'): void {
    if (outcome.kind !== 'refused') return
    const name = outcome.limit ?? outcome.code
    let row = this.refusedBy.get(name)
    if (row === undefined) this.refusedBy.set(name, (row = { before: 0, after: 0 }))
    row[lane] += 1
  }

  #noteTargets(
    before: Extract<LaneOutcome, { kind: 'admitted' }>,
    after: Extract<LaneOutcome, { kind: 'admitted' }>,
  ): void {
    if (before.target === after.target) return
    const key = JSON.stringify([before.target, after.target])
    const isFull = this.#targets.size >= MOST_ROWS && !this.#targets.has(key)
    const name = isFull ? OTHERS : key
    let row = this.#targets.get(name)
    if (row === undefined) {
      const from = isFull ? OTHERS : before.target
      const to = isFull ? OTHERS : after.target
      row = { from, to, requests: 0, beforeNanoUsd: 0, afterNanoUsd: 0 }
      this.#targets.set(name, row)
    }
    row.requests += 1
    row.beforeNanoUsd += before.costNanoUsd ?? 0
    row.afterNanoUsd += after.costNanoUsd ?? 0
  }

  #noteChange(past: PastRequest, before: LaneOutcome, after: LaneOutcome): void {
    const change = changeOf(before, after)
    if (change === null) return
    this.changed[change] += 1
    if (this.examples.length < MOST_EXAMPLES) this.examples.push({ past, change, before, after })
  }
}

/** The weightiest change. Null: none. */
function changeOf(before: LaneOutcome, after: LaneOutcome): ReplayChange | null {
  if (before.kind === 'refused' || after.kind === 'refused') {
    if (before.kind === after.kind) return null
    return after.kind === 'refused' ? 'refused' : 'admitted'
  }
  if (before.shrunk !== after.shrunk) return after.shrunk ? 'shrunk' : 'not_shrunk'
  return before.target === after.target ? null : 'target'
}

function newTotals(): LaneTotals {
  return { admitted: 0, refused: 0, shrunk: 0, costNanoUsd: 0, unknownCost: 0 }
}

function count(totals: LaneTotals, outcome: LaneOutcome): void {
  if (outcome.kind === 'refused') {
    totals.refused += 1
    return
  }
  totals.admitted += 1
  if (outcome.shrunk) totals.shrunk += 1
  if (outcome.costNanoUsd === null) totals.unknownCost += 1
  else totals.costNanoUsd += outcome.costNanoUsd
}

function rowOf(rows: Map<string, Row>, name: string): Row {
  const key = rows.size >= MOST_ROWS && !rows.has(name) ? OTHERS : name
  let row = rows.get(key)
  if (row === undefined) {
    row = { requests: 0, before: newTotals(), after: newTotals() }
    rows.set(key, row)
  }
  return row
}

function rowsOf(rows: ReadonlyMap<string, Row>): readonly ReplayRow[] {
  return [...rows]
    .map(([name, { requests, before, after }]) => ({ name, requests, before, after }))
    .toSorted((one, other) => other.requests - one.requests)
}
