import type {
  AttemptOutcome,
  AttemptTicket,
  CircuitState,
  HealthState,
  TargetBlock,
  TargetSignals,
  VendorRates,
} from '../../contracts/routing.ts'
import type { BreakerPlan } from '../../plan/gateway-plan.ts'

/** In a row: the target is degraded. */
const DEGRADED_FAILURES = 2
/** Of the share that opens the circuit: the target is degraded. */
const DEGRADED_PART = 0.5
/** Time in which the average latency forgets most of a peak. */
const LATENCY_TAU_MS = 10_000
/** Times to the first byte that are kept for the percentile. */
const KEPT_LATENCIES = 64
const FEWEST_LATENCIES = 8
const SLOW_SHARE = 0.95

/** Nobody's fault but the caller's. */
const NOT_COUNTED: ReadonlySet<AttemptOutcome['failure']> = new Set<AttemptOutcome['failure']>([
  'client',
  'content_filter',
  'context_overflow',
  'cancelled',
])
/** Of these a vendor says how long it wants to be left alone. */
type SetAside = Exclude<TargetBlock['failure'], null>
const SET_ASIDE: ReadonlySet<string> = new Set<SetAside>(['rate_limited', 'quota'])

export class Ticket implements AttemptTicket {
  readonly target: string
  generation: number
  readonly probe: boolean
  readonly troubled: boolean
  readonly entry: TargetEntry
  /** Number of the attempt at its target. */
  readonly turn: number
  open = true

  constructor(entry: TargetEntry, probe: boolean) {
    this.target = entry.target
    this.generation = entry.generation
    this.probe = probe
    this.troubled = probe || entry.consecutiveFailures > 0
    this.entry = entry
    this.turn = entry.turns
  }
}

/** What one target has shown. Its times are monotonic and come in as parameters. */
export class TargetEntry {
  readonly target: string
  generation = 0
  turns = 0
  inFlight = 0
  setAsideUntilMs: number = -Infinity
  setAsideFor: SetAside | null = null
  consecutiveFailures = 0
  latencyMs: number | null = null
  /** The last active probe while the circuit is open found it broken. */
  probeFailed = false
  /** `open` also when its time is over and nobody has tried yet; see `circuitAt`. */
  circuit: CircuitState = 'closed'
  private openUntilMs = 0
  private openForMs = 0
  /** The call that looks whether the target is back. */
  trial: Ticket | null = null
  /** Results of an earlier generation than this change nothing at all. */
  private floor = 0
  /** Decayed counts. */
  private good = 0
  private bad = 0
  private decayedAtMs: number
  private latencyAtMs = 0
  private latencies: Float64Array | null = null
  private latencyCount = 0
  /** Calls that the vendor still takes; null: it has not said. */
  private left: number | null = null
  private leftUntilMs = 0
  private leftTurn = 0

  constructor(target: string, nowMs: number) {
    this.target = target
    this.decayedAtMs = nowMs
  }

  /** Hot. */
  begin(nowMs: number, anyway: boolean): Ticket | null {
    if (nowMs < this.setAsideUntilMs) return null
    const probe = this.circuit !== 'closed'
    const isTrial = probe && this.mayTry(nowMs)
    if (probe && !isTrial && !anyway) return null
    if (this.left !== null && !this.takeLeft(nowMs)) return null
    this.turns += 1
    this.inFlight += 1
    const ticket = new Ticket(this, probe)
    if (isTrial) {
      this.circuit = 'half_open'
      this.trial = ticket
    }
    return ticket
  }

  blocked(nowMs: number): TargetBlock | null {
    if (nowMs < this.setAsideUntilMs) {
      const { setAsideFor: failure, setAsideUntilMs: untilMs } = this
      return { reason: 'cooldown', failure, untilMs }
    }
    if (this.left !== null && this.left <= 0 && nowMs < this.leftUntilMs) {
      return { reason: 'cooldown', failure: 'rate_limited', untilMs: this.leftUntilMs }
    }
    if (this.circuit === 'closed' || this.mayTry(nowMs)) return null
    // When its trial ends is not known; a moment later is a fair guess.
    const untilMs = Math.max(this.openUntilMs, nowMs + TRIAL_GUESS_MS)
    return {
      reason: 'circuit_open',
      failure: null,
      untilMs: this.trial === null ? this.openUntilMs : untilMs,
    }
  }

  answered(ticket: Ticket, latencyMs: number, nowMs: number): void {
    this.addLatency(latencyMs, nowMs)
    if (!this.isNews(ticket)) return
    this.close()
    // Its end still counts: the answer may yet break off.
    ticket.generation = this.generation
  }

  /** Answers may come in another order than the calls went: the latest call's word counts. */
  noteRates(ticket: Ticket, rates: VendorRates, nowMs: number): void {
    if (ticket.turn < this.leftTurn || ticket.generation < this.floor) return
    this.leftTurn = ticket.turn
    // What went out behind this call is not yet in the vendor's count.
    this.left = rates.remainingRequests - (this.turns - ticket.turn)
    this.leftUntilMs = nowMs + rates.resetMs
  }

  /** Hot. */
  end(ticket: Ticket, outcome: AttemptOutcome, use: BreakerUse): void {
    const { nowMs } = use
    this.inFlight -= 1
    if (ticket.generation < this.floor) return
    const { failure, latencyMs, setAsideMs } = outcome
    if (latencyMs !== null) this.addLatency(latencyMs, nowMs)
    const isTrial = this.trial === ticket
    if (isTrial) this.trial = null
    if (setAsideMs !== null && failure !== null && isSetAside(failure)) {
      this.setAside(failure, nowMs + setAsideMs)
      return
    }
    if (NOT_COUNTED.has(failure)) return
    if (ticket.generation !== this.generation) return
    if (failure === null) this.succeed(ticket, use)
    else this.fail(isTrial, use)
  }

  /** A call that went although the circuit was not closed has found the target back. */
  private isNews(ticket: Ticket): boolean {
    return ticket.probe && ticket.generation === this.generation && this.circuit !== 'closed'
  }

  setAside(failure: SetAside, untilMs: number): void {
    if (untilMs <= this.setAsideUntilMs) return
    this.setAsideUntilMs = untilMs
    this.setAsideFor = failure
  }

  /** The provider answers again, as an active probe has seen: the next call need not wait to find out. */
  noteProbe(ok: boolean, nowMs: number): void {
    if (this.circuit === 'closed') return
    if (!ok) this.probeFailed = true
    else if (this.probeFailed) {
      this.probeFailed = false
      this.openUntilMs = Math.min(this.openUntilMs, nowMs)
      this.circuit = 'half_open'
    }
  }

  /** As if it had never been called; calls under way end unseen. */
  reset(nowMs: number): void {
    this.generation += 1
    this.floor = this.generation
    this.circuit = 'closed'
    this.trial = null
    this.openForMs = 0
    this.probeFailed = false
    this.consecutiveFailures = 0
    this.setAsideUntilMs = -Infinity
    this.setAsideFor = null
    this.good = 0
    this.bad = 0
    this.decayedAtMs = nowMs
    this.latencyMs = null
    this.latencies = null
    this.latencyCount = 0
    this.left = null
  }

  circuitAt(nowMs: number): CircuitState {
    return this.circuit === 'open' && nowMs >= this.openUntilMs ? 'half_open' : this.circuit
  }

  stateAt(nowMs: number, breaker: BreakerPlan): HealthState {
    const circuit = this.circuitAt(nowMs)
    if (circuit === 'open') return 'down'
    if (circuit === 'half_open' || this.consecutiveFailures >= DEGRADED_FAILURES) return 'degraded'
    const enough = this.weightAt(nowMs, breaker) >= breaker.minRequests
    const share = this.failureShareAt(nowMs, breaker)
    return enough && share >= breaker.failureShare * DEGRADED_PART ? 'degraded' : 'healthy'
  }

  failureShareAt(nowMs: number, breaker: BreakerPlan): number {
    const fade = this.fadeAt(nowMs, breaker)
    return (this.bad * fade) / Math.max(1, (this.good + this.bad) * fade)
  }

  signals(nowMs: number, breaker: BreakerPlan): TargetSignals {
    const aside = this.blocked(nowMs)
    return {
      state: this.stateAt(nowMs, breaker),
      circuit: this.circuitAt(nowMs),
      setAsideUntilMs: aside?.reason === 'cooldown' ? aside.untilMs : null,
      latencyMs: this.latencyMs,
      failureShare: this.failureShareAt(nowMs, breaker),
      consecutiveFailures: this.consecutiveFailures,
      inFlight: this.inFlight,
    }
  }

  slowLatencyMs(): number | null {
    if (this.latencies === null || this.latencyCount < FEWEST_LATENCIES) return null
    const seen = this.latencies.slice(0, Math.min(this.latencyCount, KEPT_LATENCIES)).sort()
    return seen[Math.ceil(seen.length * SLOW_SHARE) - 1] ?? null
  }

  /** Nothing would be lost but its latency. */
  isIdle(nowMs: number): boolean {
    return this.inFlight === 0 && this.circuit === 'closed' && nowMs >= this.setAsideUntilMs
  }

  private mayTry(nowMs: number): boolean {
    return this.trial === null && (this.circuit === 'half_open' || nowMs >= this.openUntilMs)
  }

  private takeLeft(nowMs: number): boolean {
    if (nowMs >= this.leftUntilMs) {
      this.left = null
      return true
    }
    if (this.left === null || this.left <= 0) return false
    this.left -= 1
    return true
  }

  private succeed(ticket: Ticket, { nowMs, breaker }: BreakerUse): void {
    this.fade(nowMs, breaker)
    this.good += 1
    this.consecutiveFailures = 0
    if (this.isNews(ticket)) this.close()
  }

  private fail(isTrial: boolean, { nowMs, breaker }: BreakerUse): void {
    this.fade(nowMs, breaker)
    this.bad += 1
    this.consecutiveFailures += 1
    const weight = this.good + this.bad
    const tooMany = weight >= breaker.minRequests && this.bad / weight >= breaker.failureShare
    if (isTrial || tooMany || this.consecutiveFailures >= breaker.failures) {
      this.open(nowMs, breaker)
    }
  }

  /** Each trial that fails doubles the wait, up to the longest. */
  private open(nowMs: number, { openMs, maxOpenMs }: BreakerPlan): void {
    if (this.circuit === 'open') return
    this.openForMs = this.openForMs === 0 ? openMs : Math.min(this.openForMs * 2, maxOpenMs)
    this.circuit = 'open'
    this.openUntilMs = nowMs + this.openForMs
    this.probeFailed = false
    this.generation += 1
  }

  private close(): void {
    this.trial = null
    this.circuit = 'closed'
    this.openForMs = 0
    this.good = 0
    this.bad = 0
    this.consecutiveFailures = 0
    this.generation += 1
  }

  private addLatency(latencyMs: number, nowMs: number): void {
    const kept = Math.exp((this.latencyAtMs - nowMs) / LATENCY_TAU_MS)
    this.latencyMs =
      this.latencyMs === null || latencyMs > this.latencyMs
        ? latencyMs
        : this.latencyMs * kept + latencyMs * (1 - kept)
    this.latencyAtMs = nowMs
    this.latencies ??= new Float64Array(KEPT_LATENCIES)
    this.latencies[this.latencyCount % KEPT_LATENCIES] = latencyMs
    this.latencyCount += 1
  }

  private fade(nowMs: number, breaker: BreakerPlan): void {
    const fade = this.fadeAt(nowMs, breaker)
    this.good *= fade
    this.bad *= fade
    this.decayedAtMs = nowMs
  }

  private fadeAt(nowMs: number, { windowMs }: BreakerPlan): number {
    return Math.exp((this.decayedAtMs - nowMs) / windowMs)
  }

  private weightAt(nowMs: number, breaker: BreakerPlan): number {
    return (this.good + this.bad) * this.fadeAt(nowMs, breaker)
  }
}

const TRIAL_GUESS_MS = 1000

export type BreakerUse = { readonly nowMs: number; readonly breaker: BreakerPlan }

function isSetAside(failure: string): failure is SetAside {
  return SET_ASIDE.has(failure)
}
