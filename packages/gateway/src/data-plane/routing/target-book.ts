import type {
  AttemptOutcome,
  AttemptTicket,
  CircuitState,
  HealthState,
  TargetBlock,
  TargetBook,
  TargetSignals,
  VendorRates,
} from '../../contracts/routing.ts'
import type { BreakerPlan, GatewayPlan, ProviderPlan } from '../../plan/gateway-plan.ts'
import { TargetEntry, Ticket } from './target-entry.ts'

/** Names of on-demand targets come from clients. */
const MOST_ENTRIES = 5_000
/** Entries that are looked at for one that may go. */
const MOST_LOOKS = 50

/** Something that an operator may want to be told. Times are monotonic. */
export type TargetChange =
  | {
      readonly kind: 'state'
      readonly target: string
      readonly from: HealthState
      readonly to: HealthState
    }
  | { readonly kind: 'circuit'; readonly target: string; readonly to: CircuitState }
  | {
      readonly kind: 'set_aside'
      readonly target: string
      readonly failure: Exclude<TargetBlock['failure'], null>
      readonly untilMs: number
    }

export type SetAside = {
  readonly target: string
  readonly failure: Exclude<TargetBlock['failure'], null>
  readonly untilMs: number
}

export type TargetBookOptions = {
  /** Of this moment: a reload may change them. */
  readonly breaker: () => BreakerPlan
  /** Must not throw. */
  readonly onChange: (change: TargetChange) => void
}

const UNSEEN: TargetSignals = {
  state: 'healthy',
  circuit: 'closed',
  setAsideUntilMs: null,
  latencyMs: null,
  failureShare: 0,
  consecutiveFailures: 0,
  inFlight: 0,
}

/** The book of one process. `begin` and `end` are hot: bench/target-book.ts. */
export class MemoryTargetBook implements TargetBook {
  private readonly options: TargetBookOptions
  private readonly entries = new Map<string, TargetEntry>()
  private providers: ReadonlyMap<string, ProviderPlan> = new Map()
  /** Providers of the ids that the configuration declares. They are the last to be forgotten. */
  private declared: ReadonlyMap<string, ProviderPlan> = new Map()

  constructor(options: TargetBookOptions) {
    this.options = options
  }

  signals(target: string, nowMs: number): TargetSignals {
    return this.entries.get(target)?.signals(nowMs, this.options.breaker()) ?? UNSEEN
  }

  blocked(target: string, nowMs: number): TargetBlock | null {
    return this.entries.get(target)?.blocked(nowMs) ?? null
  }

  begin(target: string, nowMs: number): Ticket | null {
    return this.beginAt(target, nowMs, false)
  }

  beginAnyway(target: string, nowMs: number): Ticket | null {
    return this.beginAt(target, nowMs, true)
  }

  private beginAt(target: string, nowMs: number, anyway: boolean): Ticket | null {
    const entry = this.entries.get(target) ?? this.open(target, nowMs)
    const { circuit } = entry
    const ticket = entry.begin(nowMs, anyway)
    if (circuit === 'open' && entry.circuit === 'half_open') {
      this.options.onChange({ kind: 'circuit', target, to: 'half_open' })
    }
    return ticket
  }

  answered(ticket: AttemptTicket, latencyMs: number, nowMs: number): void {
    const { entry } = asTicket(ticket)
    if (!ticket.probe) return entry.answered(asTicket(ticket), latencyMs, nowMs)
    this.watched(entry, nowMs, () => entry.answered(asTicket(ticket), latencyMs, nowMs))
  }

  noteRates(ticket: AttemptTicket, rates: VendorRates, nowMs: number): void {
    asTicket(ticket).entry.noteRates(asTicket(ticket), rates, nowMs)
  }

  end(ticket: AttemptTicket, outcome: AttemptOutcome, nowMs: number): void {
    const own = asTicket(ticket)
    if (!own.open) return
    own.open = false
    const { entry } = own
    const use = { nowMs, breaker: this.options.breaker() }
    // The usual case changes nothing that anybody is told of.
    if (outcome.failure === null && entry.consecutiveFailures === 0 && !own.probe) {
      return entry.end(own, outcome, use)
    }
    this.watched(entry, nowMs, () => entry.end(own, outcome, use))
  }

  slowLatencyMs(target: string): number | null {
    return this.entries.get(target)?.slowLatencyMs() ?? null
  }

  /** What was known of targets whose provider now is another, by address or credential, is forgotten. */
  usePlan(plan: GatewayPlan, nowMs: number): void {
    const before = new Map([...this.entries.keys()].map((one) => [one, this.providerOf(one)]))
    this.providers = plan.providers
    this.declared = new Map(
      [...plan.models.values()].flatMap(({ targets }) =>
        targets.map(({ healthId, provider }) => [healthId, provider] as const),
      ),
    )
    for (const [target, entry] of this.entries) {
      const [known, next] = [before.get(target), this.providerOf(target)]
      if (known !== undefined && next !== undefined && isSame(known, next)) continue
      entry.reset(nowMs)
      this.entries.delete(target)
    }
  }

  /** Null: every target. Returns which were known. */
  reset(target: string | null, nowMs: number): readonly string[] {
    const targets = target === null ? [...this.entries.keys()] : [target]
    const known = targets.filter((one) => this.entries.has(one))
    for (const one of known) {
      const entry = this.entries.get(one)
      if (entry !== undefined) this.watched(entry, nowMs, () => entry.reset(nowMs))
    }
    return known
  }

  /**
   * An active probe of a provider, for each of its targets. Says nothing of their latency, nor of those that a policy's own
   * credential or address is used for.
   */
  noteProbe(provider: string, ok: boolean, nowMs: number): void {
    for (const [target, entry] of this.entries) {
      if (this.providerOf(target)?.name !== provider || target.includes(' ')) continue
      this.watched(entry, nowMs, () => entry.noteProbe(ok, nowMs))
    }
  }

  /** Providers with a target whose circuit is not closed. */
  troubledProviders(nowMs: number): ReadonlySet<string> {
    const names = new Set<string>()
    for (const [target, entry] of this.entries) {
      const name = this.providerOf(target)?.name
      if (name !== undefined && entry.circuitAt(nowMs) !== 'closed') names.add(name)
    }
    return names
  }

  setAside({ target, failure, untilMs }: SetAside, nowMs: number): void {
    const entry = this.entries.get(target) ?? this.open(target, nowMs)
    this.watched(entry, nowMs, () => entry.setAside(failure, untilMs))
  }

  isKnown(target: string): boolean {
    return this.entries.has(target)
  }

  list(nowMs: number): readonly (TargetSignals & { readonly target: string })[] {
    const breaker = this.options.breaker()
    const seen: (TargetSignals & { readonly target: string })[] = []
    for (const [target, entry] of this.entries) {
      seen.push({ target, ...entry.signals(nowMs, breaker) })
    }
    return seen
  }

  private providerOf(target: string): ProviderPlan | undefined {
    const [id = ''] = target.split(' ', 1)
    return this.declared.get(id) ?? this.providers.get(id.slice(0, Math.max(0, id.indexOf('/'))))
  }

  private open(target: string, nowMs: number): TargetEntry {
    if (this.entries.size >= MOST_ENTRIES) this.forgetOne(nowMs)
    const entry = new TargetEntry(target, nowMs)
    this.entries.set(target, entry)
    return entry
  }

  /** The oldest that nobody would miss; when there is none, the oldest. */
  private forgetOne(nowMs: number): void {
    let looks = 0
    for (const [target, entry] of this.entries) {
      if (looks++ >= MOST_LOOKS) break
      if (entry.isIdle(nowMs) && !this.declared.has(target)) return void this.entries.delete(target)
    }
    this.entries.delete(this.entries.keys().next().value ?? '')
  }

  /** Tells what the change did to the entry. */
  private watched(entry: TargetEntry, nowMs: number, change: () => void): void {
    const breaker = this.options.breaker()
    const { target, setAsideUntilMs } = entry
    const [state, circuit] = [entry.stateAt(nowMs, breaker), entry.circuitAt(nowMs)]
    change()
    const [stateNow, circuitNow] = [entry.stateAt(nowMs, breaker), entry.circuitAt(nowMs)]
    const { onChange } = this.options
    if (circuitNow !== circuit) onChange({ kind: 'circuit', target, to: circuitNow })
    if (stateNow !== state) onChange({ kind: 'state', target, from: state, to: stateNow })
    const { setAsideFor: failure, setAsideUntilMs: untilMs } = entry
    if (failure !== null && untilMs > setAsideUntilMs) {
      onChange({ kind: 'set_aside', target, failure, untilMs })
    }
  }
}

/** The book alone makes tickets. */
function asTicket(ticket: AttemptTicket): Ticket {
  if (ticket instanceof Ticket) return ticket
  throw new TypeError('a ticket of another book')
}

function isSame(one: ProviderPlan, other: ProviderPlan): boolean {
  return (
    one.name === other.name &&
    one.origin === other.origin &&
    one.basePath === other.basePath &&
    one.query === other.query &&
    one.credential === other.credential
  )
}
