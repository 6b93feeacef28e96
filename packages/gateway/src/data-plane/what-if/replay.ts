import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Protocol } from '../../contracts/protocol.ts'
import type { UsageRecord } from '../../contracts/usage-record.ts'
import type { GatewayPlan, KeyPlan } from '../../plan/gateway-plan.ts'
import { type PastRequest, pastRequest } from './past-request.ts'
import { type LaneOutcome, ReplayLane } from './replay-lane.ts'
import { ReplayReport } from './replay-report.ts'

/** One way of ruling: what is, or what might be. */
export type Ruling = {
  readonly plan: GatewayPlan
  /** Null: the key cannot be used. */
  readonly keyOf: (id: string) => KeyPlan | null
}

export type ReplayOptions = {
  /** The oldest first. */
  readonly records: AsyncIterable<UsageRecord>
  readonly protocols: readonly Protocol[]
  readonly before: Ruling
  readonly after: Ruling
  /** Whose requests are told of; the others only take their part of what is shared. */
  readonly isTold: (record: UsageRecord) => boolean
  readonly maxRecords: number
  readonly signal: AbortSignal
}

export type Replayed = {
  readonly report: ReplayReport
  readonly others: ReplayReport
  readonly records: number
  /** There were more records than one replay reads. */
  readonly truncated: boolean
}

/** So long others wait at most. */
const TURN_MS = 10
/** Between two looks at the clock. */
const LOOK_EVERY = 16

/**
 * Recorded requests once more, in virtual time, under two rulings side by side. Each lane counts for itself from nothing.
 * Others get their turn every 10 ms. Rejects with the reason of the signal.
 */
export async function replay(options: ReplayOptions): Promise<Replayed> {
  const pace = new Pace(options.signal)
  const state = { records: 0, truncated: false }
  const report = new ReplayReport()
  const others = new ReplayReport()
  let lanes: readonly ReplayLane[] = []
  for await (const record of options.records) {
    if (state.records >= options.maxRecords) {
      state.truncated = true
      break
    }
    state.records += 1
    const told = options.isTold(record) ? report : others
    const past = pastRequest(record, options.protocols)
    if (typeof past === 'string') told.passedOver[past] += 1
    else {
      if (lanes.length === 0) lanes = lanesFrom(options, record.startedAtMs)
      await advance(lanes, record.startedAtMs, pace)
      begin(lanes, past, told)
    }
    if (pace.isDue()) await pace.giveWay()
  }
  options.signal.throwIfAborted()
  await advance(lanes, Number.MAX_VALUE, pace)
  return { report, others, ...state }
}

function lanesFrom(
  { protocols, before, after }: ReplayOptions,
  startMs: number,
): readonly ReplayLane[] {
  return [before, after].map((ruling) => new ReplayLane({ ...ruling, protocols, startMs }))
}

async function advance(lanes: readonly ReplayLane[], toMs: number, pace: Pace): Promise<void> {
  for (const lane of lanes) {
    while (lane.nextMs() <= toMs) {
      lane.step()
      if (pace.isDue()) await pace.giveWay()
    }
  }
}

/** The report takes a request when both lanes have decided, which may be after a wait. */
function begin(lanes: readonly ReplayLane[], past: PastRequest, report: ReplayReport): void {
  const outcomes: (LaneOutcome | undefined)[] = []
  for (const [index, lane] of lanes.entries()) {
    lane.begin(past, (outcome) => {
      outcomes[index] = outcome
      const [before, after] = outcomes
      if (before !== undefined && after !== undefined) report.add(past, before, after)
    })
  }
}

/** Keeps the event loop free. */
class Pace {
  readonly #signal: AbortSignal
  #untilMs = performance.now() + TURN_MS
  #steps = 0

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  isDue(): boolean {
    this.#steps += 1
    return this.#steps % LOOK_EVERY === 0 && performance.now() >= this.#untilMs
  }

  async giveWay(): Promise<void> {
    await nextTurn()
    this.#signal.throwIfAborted()
    this.#untilMs = performance.now() + TURN_MS
  }
}
