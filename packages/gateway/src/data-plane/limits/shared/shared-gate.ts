import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { DurableCharges } from '../../../contracts/durable-charge.ts'
import type {
  Actual,
  CounterState,
  CounterView,
  Demand,
  Gate,
  LimitCharge,
  LimitState,
  ProcessGate,
  Reservation,
  ReserveResult,
} from '../../../contracts/limit.ts'
import { type ScriptConnection, ServerAway } from '../../../contracts/script-server.ts'
import type { SharedReading } from '../../../contracts/shared-counters.ts'
import { actualAmount, demandedAmount } from '../amounts.ts'
import { gateOfViews } from '../gate-of-views.ts'
import { isLeased } from '../lease.ts'
import { checkDemand, isAmount } from '../memory-gate.ts'
import { Adoptions, orReported, type Owing } from './adoptions.ts'
import { Attachment } from './attachment.ts'
import { changeCounters, listCounters, readDurable } from './administration.ts'
import { type Closing, Closings } from './closings.ts'
import { Extensions } from './extensions.ts'
import type { SharedGateOptions, SharedGateParts } from './gate-parts.ts'
import { Housekeeping } from './housekeeping.ts'
import { KnownStates } from './known-states.ts'
import { OpenCharges } from './open-charges.ts'
import { OutageGate, OutageReservation } from './outage-gate.ts'
import { Patience } from './patience.ts'
import { Predecessors } from './predecessors.ts'
import { Reports } from './reports.ts'
import { askReserve, refusalFrom, unique } from './reserve-call.ts'
import { Answer, listOf, numberOf, ScriptKeys } from './script-calls.ts'
import { SeenCounters } from './seen-counters.ts'
import { ServerTime } from './server-time.ts'
import { SettleUp } from './settle-up.ts'
import { SharedReservation } from './shared-reservation.ts'

/** The script that a server of this gate has to run. */
export const GATE_SCRIPT: string = readFileSync(new URL('./gate.lua', import.meta.url), 'utf8')

/** How often a request asks again while other processes give back what they lease. */
const LEASE_TRIES = 15
/** What was seen longer ago says nothing of how much room there is. */
const FITS_AGE_MS = 5000

/** Of one start of one process. */
export function newProcessName(): string {
  return randomBytes(9).toString('base64url')
}

/** A gate whose counters are on a server, shared with other processes. Each operation is one call over all counters. */
export class SharedGate implements Gate {
  readonly #parts: SharedGateParts
  readonly #attachment: Attachment
  readonly #closings: Closings
  readonly #reports: Reports
  readonly #housekeeping: Housekeeping
  readonly #patience: Patience
  readonly #extensions: Extensions
  readonly #adoptions: Adoptions
  readonly #settleUp: SettleUp
  /** For the journal of open calls. */
  readonly durable: DurableCharges
  #live: ScriptConnection | null = null
  #outage: OutageGate | null = null
  /** While the server is told what was spent without it. */
  #settling: Promise<void> | null = null
  #problem: string | null = 'has not been reached yet'
  #lastId = 0

  constructor(options: SharedGateOptions) {
    const process = options.process ?? newProcessName()
    const keys = new ScriptKeys(options.namespace, process)
    const time = new ServerTime(options.clock, options.virtual === true)
    const parts: SharedGateParts = {
      keys,
      process,
      seen: new SeenCounters(),
      known: new KnownStates(),
      time,
      options,
      dirty: new Set(),
      open: new Map(),
      generation: () => this.#attachment.generation,
      call: async (connection, operation, counterKeys, args) => {
        const head = [operation, time.argument(), this.#attachment.stamp(), process]
        const value = await connection.run(keys.of(counterKeys), [...head, ...args])
        const answer = new Answer(value)
        time.learn(answer.nowMs)
        if (answer.code !== 3) return answer
        connection.fail('Redis has lost the counters')
        throw new ServerAway('Redis has lost the counters')
      },
    }
    this.#parts = parts
    this.#attachment = new Attachment(parts)
    this.#closings = new Closings(parts)
    this.#reports = new Reports(parts)
    const predecessors = new Predecessors(parts, this.#closings, this.#reports)
    this.#housekeeping = new Housekeeping(
      parts,
      (connection, charge) => this.#attachment.restoreOne(connection, charge),
      predecessors,
    )
    this.#patience = new Patience(parts)
    this.#extensions = new Extensions(parts, this.#patience)
    this.#adoptions = new Adoptions(parts)
    this.#settleUp = new SettleUp(parts, {
      reports: this.#reports,
      closings: this.#closings,
      adoptions: this.#adoptions,
      attachment: this.#attachment,
    })
    this.durable = new OpenCharges({
      ...parts,
      closings: this.#closings,
      reports: this.#reports,
      predecessors,
      live: () => this.#live,
      nextName: () => this.#nextName(),
    })
  }

  /** Connects, and goes on doing so. Until then every limit follows its `on_backend_failure`. */
  start(): void {
    const { options } = this.#parts
    options.server.start({
      onConnect: (connection) => this.#connect(connection),
      onLost: (reason) => this.#lose(reason),
      onWarning: options.onWarning,
    })
    const byHand = options.virtual === true || options.pause !== undefined
    if (!byHand) this.#housekeeping.start(() => this.#live)
  }

  /** Settles what is queued, if the server is there, and gives the leases back. */
  async stop(): Promise<void> {
    this.#housekeeping.stop()
    const connection = this.#live
    if (connection !== null) {
      try {
        await this.flush()
        await this.#housekeeping.save(connection)
        await this.#housekeeping.leave(connection)
      } catch {
        // It went away meanwhile: leases and reservations end by themselves.
      }
    }
    await this.#parts.options.server.stop()
  }

  /** Resolves when everything that is under way has been answered or has failed. */
  async flush(): Promise<void> {
    await this.#closings.idle()
    await this.#reports.idle()
  }

  /** Asks for the state of every durable counter that changed. */
  async save(): Promise<void> {
    if (this.#live !== null) await this.#housekeeping.save(this.#live)
  }

  /** One turn of what else goes on in the background. */
  async housekeep(): Promise<void> {
    await this.#housekeeping.work(this.#live)
  }

  /** Null while the server is up. */
  problem(): string | null {
    return this.#problem
  }

  reserve(charges: readonly LimitCharge[], demand: Demand): ReserveResult | Promise<ReserveResult> {
    checkDemand(demand)
    const connection = this.#live
    if (connection !== null) return this.#reserveShared(connection, charges, demand)
    const settling = this.#settling
    if (settling !== null) return settling.then(() => this.reserve(charges, demand))
    return this.#reserveAlone(charges, demand)
  }

  fits(charges: readonly LimitCharge[], demand: Demand): boolean {
    checkDemand(demand)
    const nowMs = this.#parts.time.nowMs()
    for (const { counterKey, limit } of charges) {
      const seen = this.#parts.seen.find(counterKey)
      if (seen === null || !seen.counted || nowMs - seen.atMs > FITS_AGE_MS) return false
      const needed = demandedAmount(limit.unit, demand, demand.outputTokens)
      if (needed > seen.amount - seen.used - seen.reserved) return false
    }
    return this.#live !== null
  }

  /** While the server is away no more can be had. */
  extend(reservation: Reservation, outputTokens: number): number | Promise<number> {
    if (reservation instanceof OutageReservation) return reservation.outputTokens
    const own = this.#asShared(reservation)
    const connection = this.#live
    const isHeld = !own.open || own.heldTokens >= own.outputTokens
    if (isHeld || connection === null) return own.heldTokens
    return this.#extensions.extend(connection, own, outputTokens)
  }

  settle(reservation: Reservation, actual: Actual): void {
    const own = this.#sharedOrClosed(reservation, actual)
    if (own === null || !own.close()) return
    const used = own.holds.map(({ charge, amount }) => {
      const value = actualAmount(charge.limit.unit, actual)
      return isAmount(value) ? value : amount
    })
    for (const { charge } of own.holds) {
      if (charge.limit.reserve !== 'expected' || !isAmount(actual.outputTokens)) continue
      const { outputs } = this.#parts.seen.of(charge)
      outputs.of(own.demand.model ?? '').add(actual.outputTokens)
    }
    if (this.#parts.options.ledger !== undefined) {
      for (const [index, hold] of own.holds.entries()) hold.used = used[index] ?? 0
    }
    const closing: Closing = { name: own.name, kind: 'settle', holds: own.holds, used }
    if (!own.adopted) return this.#closings.add(this.#live, closing)
    const owing: Owing = {
      owe: (uses) => {
        for (const use of uses) this.#parts.known.owe(use)
      },
      report: (uses) => this.#reports.add(this.#live, uses, { fromLease: true }),
    }
    this.#closings.add(this.#live, orReported(closing, own, owing))
  }

  release(reservation: Reservation): void {
    const own = this.#sharedOrClosed(reservation, null)
    if (own === null || !own.close()) return
    const used = own.holds.map(() => 0)
    this.#closings.add(this.#live, { name: own.name, kind: 'release', holds: own.holds, used })
  }

  /** As the server last told it. Nothing while it is away. */
  statesOf(reservation: Reservation): readonly LimitState[] {
    if (reservation instanceof OutageReservation) return []
    const states: LimitState[] = []
    for (const { charge } of this.#asShared(reservation).holds) {
      const seen = this.#parts.seen.find(charge.counterKey)
      if (charge.limit.mode !== 'enforce' || seen === null) continue
      states.push({ ...seen.stateAt(this.#parts.time.toWallMs), limit: charge.limit })
    }
    return states
  }

  takeChanged(): readonly CounterState[] {
    const { known } = this.#parts
    for (const use of this.#outage?.namedUses() ?? []) known.owe(use)
    return known.takeChanged()
  }

  /** For start-up. Throws an `Error` when a state cannot be read. What the server lost is built up from it. */
  restore(states: readonly CounterState[]): void {
    const { options, known, time } = this.#parts
    const chargeOpen = options.openOnRestore === 'charge'
    const owed = known.load(states, { nowMs: time.nowMs(), chargeOpen })
    this.#reports.add(this.#live, owed, { fromLease: false })
    if (this.#live !== null) this.#closings.track(this.#attachment.restore(this.#live))
  }

  list(): Promise<readonly CounterView[]> {
    return listCounters(this.#parts, this.#live)
  }

  readDurable(besides: readonly string[]): Promise<SharedReading> {
    return readDurable(this.#parts, this.#live, besides)
  }

  async fork(aheadMs: number): Promise<ProcessGate> {
    const { seen, time } = this.#parts
    return gateOfViews({
      views: await this.list(),
      limitOf: (counterKey) => seen.find(counterKey)?.charge.limit ?? null,
      clock: time.asClock(),
      aheadMs,
    })
  }

  openReservations(): number {
    const alone = this.#outage?.openReservations() ?? 0
    let shared = 0
    for (const one of this.#parts.open.values()) if (one.open) shared += 1
    return shared + alone
  }

  reset(limitId: string, value: string | null): Promise<readonly CounterState[]> {
    return changeCounters(this.#parts, this.#live, { kind: 'reset', limitId, value, extra: 0 })
  }

  /** Throws a `RangeError` unless `extra` is a whole number above 0. Changes nothing for a counter that never counted. */
  grant(limitId: string, value: string, extra: number): Promise<readonly CounterState[]> {
    if (!isAmount(extra) || extra === 0) throw new RangeError('An allowance is a whole number.')
    return changeCounters(this.#parts, this.#live, { kind: 'grant', limitId, value, extra })
  }

  async #reserveShared(
    connection: ScriptConnection,
    charges: readonly LimitCharge[],
    demand: Demand,
  ): Promise<ReserveResult> {
    const parts = this.#parts
    const name = this.#nextName()
    const id = this.#lastId
    let patient = true
    for (let tries = 1; ; tries++) {
      let answer: Answer
      try {
        answer = await askReserve(parts, connection, { name, patient, charges, demand })
      } catch (thrown) {
        if (!(thrown instanceof ServerAway)) throw thrown
        // Whether it was reserved is unknown: it is given back when the server is there again.
        const holds = unique(charges).map((charge) => ({ charge, amount: 0, leased: false }))
        const used = holds.map(() => 0)
        this.#closings.add(this.#live, { name, kind: 'release', holds, used })
        return this.reserve(charges, demand)
      }
      switch (answer.code) {
        case 0:
          return { ok: false, refusal: refusalFrom(answer.list(2), charges, parts.time) }
        case 1:
          return { ok: true, reservation: this.#keep({ id, name }, answer, charges, demand) }
        case 2:
          patient = await this.#patience.wait(answer, { isLast: tries > LEASE_TRIES })
          break
        case 4:
          await this.#attachment.restoreOne(connection, charges[answer.number(2)])
          break
        default:
          return this.#reserveAlone(charges, demand)
      }
    }
  }

  #keep(
    { id, name }: { readonly id: number; readonly name: string },
    answer: Answer,
    charges: readonly LimitCharge[],
    demand: Demand,
  ): SharedReservation {
    const { seen, dirty, open, options, time } = this.#parts
    const views = answer.list(3).map(listOf)
    const holds = unique(charges).map((charge, index) => {
      const view = views[index] ?? []
      const counter = seen.of(charge)
      counter.learn(view, answer.nowMs)
      counter.lease = Math.max(0, counter.lease - numberOf(view[4]))
      counter.durable = numberOf(view[6]) === 1
      if (counter.durable) dirty.add(charge.counterKey)
      const amount = numberOf(view[5])
      const leased = isLeased(charge.limit, demand)
      const [at, era] = [numberOf(view[7]), numberOf(view[8])]
      return era < 0 ? { charge, amount, leased } : { charge, amount, leased, counted: { at, era } }
    })
    const outputTokens = answer.number(2)
    const shrunk = outputTokens < demand.outputTokens
    const excused = answer.list(4).map((one) => refusalFrom(listOf(one), charges, time))
    const grant = { id, name, outputTokens, heldTokens: answer.number(5), shrunk, excused, demand }
    const reservation = new SharedReservation(grant, holds, options.clock.monotonicMs())
    open.set(name, reservation)
    return reservation
  }

  #reserveAlone(charges: readonly LimitCharge[], demand: Demand): ReserveResult {
    const { seen, time, options } = this.#parts
    this.#outage ??= new OutageGate({
      name: this.#nextName(),
      clock: time.asClock(),
      members: this.#housekeeping.members,
      nextName: () => this.#nextName(),
      leaseOf: (counterKey) => {
        const counter = seen.find(counterKey)
        if (counter === null || counter.leaseUntilMs < options.clock.monotonicMs()) return 0
        return counter.lease
      },
    })
    return this.#outage.reserve(charges, { ...demand, mayLease: false })
  }

  #nextName(): string {
    this.#lastId += 1
    return `${this.#parts.process}:${this.#lastId}`
  }

  /** Null: it was made in the outage that lasts, and is closed there. */
  #sharedOrClosed(reservation: Reservation, actual: Actual | null): SharedReservation | null {
    if (!(reservation instanceof OutageReservation)) return this.#asShared(reservation)
    const adopted = this.#adoptions.takeOut(reservation)
    if (adopted === null) reservation.gate.close(reservation, actual)
    return adopted
  }

  #asShared(reservation: Reservation): SharedReservation {
    if (reservation instanceof SharedReservation) return reservation
    throw new TypeError('The reservation was not made by this gate.')
  }

  async #connect(connection: ScriptConnection): Promise<void> {
    const { fresh } = await this.#attachment.begin(connection, this.#housekeeping.members, {
      isEnding: (name) => this.#closings.isWaiting(name),
      syncLeases: () => this.#reports.sync(connection, this.#settleUp.leases()),
    })
    const settling = Promise.withResolvers<void>()
    this.#settling = settling.promise
    try {
      const outage = this.#outage
      this.#outage = null
      await this.#settleUp.tell(connection, { outage, fresh })
      this.#goOn(connection)
    } finally {
      this.#settling = null
      settling.resolve()
    }
  }

  /** Nothing is waited for any more, so that these calls are run before the next request's. */
  #goOn(connection: ScriptConnection): void {
    this.#reports.retry(connection)
    this.#closings.retry(connection)
    this.#live = connection
    this.#problem = null
    this.#parts.options.onState(null)
  }

  #lose(reason: string): void {
    this.#live = null
    if (this.#problem === reason) return
    this.#problem = reason
    this.#parts.options.onState(reason)
  }
}
