import type { Ask } from './ask.ts'

/** How a call ended. `open` lines are still being written. */
type BillOutcome = 'open' | 'finished' | 'cut_by_client' | 'cut_by_fault' | 'refused' | 'odd_body'

/** The truth of one call: what a vendor would put on its invoice. Counts only tokens really written. */
export type BillLine = {
  readonly requestId: string
  /** The gateway's `x-request-id` request header. */
  readonly gatewayRequestId: string | null
  readonly endpoint: string
  readonly protocol: Ask['protocol']
  readonly model: string | null
  readonly stream: boolean
  readonly status: number
  readonly inputTokens: number
  readonly cacheReadTokens: number
  readonly cacheWrite5mTokens: number
  readonly cacheWrite1hTokens: number
  readonly outputTokens: number
  readonly reasoningTokens: number
  readonly outcome: BillOutcome
  /** False: the answer's wire said nothing of usage. */
  readonly usageReported: boolean
  readonly startedAtMs: number
  /** When the answer ended or the client left. */
  readonly endedAtMs: number | null
}

/** A line while its call runs. */
export type OpenBillLine = { -readonly [Field in keyof BillLine]: BillLine[Field] }

export type BillTotals = {
  readonly calls: number
  readonly inputTokens: number
  readonly cacheReadTokens: number
  readonly cacheWrite5mTokens: number
  readonly cacheWrite1hTokens: number
  readonly outputTokens: number
  readonly reasoningTokens: number
}

export type Bill = {
  open(line: Omit<BillLine, 'outcome' | 'endedAtMs'>): OpenBillLine
  lines(): readonly BillLine[]
  totals(): BillTotals
  reset(): void
}

/** Beyond this many lines the oldest are folded into the totals, so that a long benchmark stays small. */
const MAX_LINES = 100_000

export function createBill(): Bill {
  let lines: OpenBillLine[] = []
  let folded = NOTHING
  return {
    open(line) {
      const opened: OpenBillLine = { ...line, outcome: 'open', endedAtMs: null }
      lines.push(opened)
      if (lines.length >= 2 * MAX_LINES) {
        folded = lines.slice(0, MAX_LINES).reduce(add, folded)
        lines = lines.slice(MAX_LINES)
      }
      return opened
    },
    lines: () => lines.map((line) => ({ ...line })),
    totals: () => lines.reduce(add, folded),
    reset() {
      lines = []
      folded = NOTHING
    },
  }
}

const NOTHING: BillTotals = {
  calls: 0,
  inputTokens: 0,
  cacheReadTokens: 0,
  cacheWrite5mTokens: 0,
  cacheWrite1hTokens: 0,
  outputTokens: 0,
  reasoningTokens: 0,
}

function add(sum: BillTotals, line: BillLine): BillTotals {
  return {
    calls: sum.calls + 1,
    inputTokens: sum.inputTokens + line.inputTokens,
    cacheReadTokens: sum.cacheReadTokens + line.cacheReadTokens,
    cacheWrite5mTokens: sum.cacheWrite5mTokens + line.cacheWrite5mTokens,
    cacheWrite1hTokens: sum.cacheWrite1hTokens + line.cacheWrite1hTokens,
    outputTokens: sum.outputTokens + line.outputTokens,
    reasoningTokens: sum.reasoningTokens + line.reasoningTokens,
  }
}
