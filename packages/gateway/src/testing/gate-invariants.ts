import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type {
  CounterState,
  CounterView,
  LimitCharge,
  LimitPlan,
  Reservation,
} from '../contracts/limit.ts'
import {
  actualOf,
  admitted,
  bucket,
  chargeOf,
  concurrent,
  demandFor,
  fixed,
  type GateUnderTest,
  HOUR,
  lifetime,
  limitOf,
  type MakeGate,
  MINUTE,
  SECOND,
  sliding,
} from './gate-fixtures.ts'
import { type Admission, amountsOf, excessOf } from './gate-model.ts'
import { TEST_START_MS, VirtualClock } from './virtual-clock.ts'

const RUNS = { numRuns: 150 }

/** One of each algorithm, small enough that random requests hit them all. */
const LIMITS: readonly LimitPlan[] = [
  limitOf(lifetime(4_000), { whenShort: 'shrink', minOutputTokens: 5 }),
  limitOf(fixed(900, MINUTE), { whenShort: 'shrink', minOutputTokens: 10 }),
  limitOf(fixed(9, SECOND), { id: 'second', unit: 'requests' }),
  limitOf(sliding(700, MINUTE)),
  limitOf(sliding(300_000, SECOND), { id: 'usd', unit: 'usd', whenShort: 'shrink' }),
  limitOf(bucket(400, 7.3), { scope: 'team' }),
  limitOf(bucket(200_000, 31_007), { id: 'usd-bucket', unit: 'usd', whenShort: 'shrink' }),
  limitOf(concurrent(4), { unit: 'concurrent' }),
]

type Step =
  | {
      readonly do: 'reserve'
      readonly limits: readonly number[]
      readonly value: string
      readonly input: number
      readonly output: number
    }
  | { readonly do: 'settle'; readonly which: number; readonly share: number }
  | { readonly do: 'release'; readonly which: number }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'jump'; readonly ms: number }

const reserveStep = fc.record({
  do: fc.constant('reserve' as const),
  limits: fc.uniqueArray(fc.nat(LIMITS.length - 1), { minLength: 1, maxLength: LIMITS.length }),
  value: fc.constantFrom('a', 'b'),
  input: fc.nat(60),
  output: fc.nat(300),
})
const endStep = fc.oneof(
  fc.record({
    do: fc.constant('settle' as const),
    which: fc.nat(20),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
  fc.record({ do: fc.constant('release' as const), which: fc.nat(20) }),
)
const waitStep = fc.record({
  do: fc.constant('wait' as const),
  ms: fc.oneof(fc.nat(40), fc.nat(2_000), fc.nat(70_000), fc.constantFrom(1_000, 60_000, 61_000)),
})
const jumpStep = fc.record({
  do: fc.constant('jump' as const),
  ms: fc.integer({ min: -4_000_000, max: 4_000_000 }),
})
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: reserveStep },
    { weight: 4, arbitrary: endStep },
    { weight: 2, arbitrary: waitStep },
    { weight: 1, arbitrary: jumpStep },
  ),
  { maxLength: 80 },
)

type Call = { readonly admission: Admission; readonly reservation: Reservation; done: boolean }

/** Drives a gate through steps, and remembers everything that it admitted. */
class Run {
  readonly gate: GateUnderTest
  readonly clock: VirtualClock
  readonly admissions: Admission[] = []
  /** What the gate answered, step by step. */
  readonly answers: string[] = []
  readonly #calls: Call[] = []
  readonly #jumps: boolean
  #elapsedMs = 0

  constructor(gate: GateUnderTest, clock: VirtualClock, jumps: boolean) {
    this.gate = gate
    this.clock = clock
    this.#jumps = jumps
  }

  get nowMs(): number {
    return TEST_START_MS + this.#elapsedMs
  }

  async step(step: Step): Promise<void> {
    switch (step.do) {
      case 'wait':
        this.clock.advance(step.ms)
        this.#elapsedMs += step.ms
        return
      case 'jump':
        if (this.#jumps) this.clock.jumpWall(step.ms)
        return
      case 'reserve':
        return this.#reserve(step)
      case 'settle':
      case 'release':
        return this.#end(step)
      default:
    }
  }

  open(): readonly Call[] {
    return this.#calls.filter((call) => !call.done)
  }

  async #reserve(step: Extract<Step, { do: 'reserve' }>): Promise<void> {
    const charges: LimitCharge[] = step.limits.flatMap((index) => {
      const limit = LIMITS[index]
      return limit === undefined ? [] : [chargeOf(limit, step.value)]
    })
    const demand = demandFor(step.input, step.output)
    const result = await this.gate.reserve(charges, demand)
    if (!result.ok) {
      this.answers.push(`refused ${result.refusal.limit.id} ${result.refusal.retryAfterMs}`)
      return
    }
    const { reservation } = result
    this.answers.push(`admitted ${reservation.outputTokens}`)
    const { outputTokens } = reservation
    const admission = { atMs: this.nowMs, charges, demand, outputTokens, used: null }
    this.admissions.push(admission)
    this.#calls.push({ admission, reservation, done: false })
  }

  async #end(step: Extract<Step, { do: 'settle' | 'release' }>): Promise<void> {
    const open = this.open()
    const call = open[step.which % Math.max(1, open.length)]
    if (call === undefined) return
    call.done = true
    if (step.do === 'release') {
      await this.gate.release(call.reservation)
      this.admissions.splice(this.admissions.indexOf(call.admission), 1)
      return
    }
    const inputTokens = Math.floor(call.admission.demand.inputTokens * step.share)
    const outputTokens = Math.floor(call.admission.outputTokens * step.share)
    call.admission.used = { inputTokens, outputTokens }
    await this.gate.settle(call.reservation, actualOf(inputTokens, outputTokens))
  }
}

/** Limits that the admissions break, with the excess; empty when all is well. */
function broken(admissions: readonly Admission[]): readonly string[] {
  const found: string[] = []
  for (const limit of LIMITS) {
    for (const value of ['a', 'b']) {
      const amounts = amountsOf(admissions, chargeOf(limit, value).counterKey)
      const excess = excessOf(limit, amounts)
      if (excess > 0) found.push(`${limit.id} of ${value} by ${excess}`)
    }
  }
  return found
}

/** Properties that hold for every sequence of calls. fast-check prints the seed of a failure. */
export function gateInvariants(makeGate: MakeGate): void {
  async function start(
    options: { jumps?: boolean; wallMs?: number; openOnRestore?: 'charge' | 'forget' } = {},
  ): Promise<Run> {
    const clock = new VirtualClock(options.wallMs)
    const { openOnRestore = 'forget', jumps = false } = options
    const gate = await makeGate({ clock, onAlert: () => {}, openOnRestore })
    return new Run(gate, clock, jumps)
  }

  describe('invariants', () => {
    it('no limit is ever exceeded, at any instant, whatever is settled, released, shrunk or awaited', async () => {
      await fc.assert(
        fc.asyncProperty(steps, async (sequence) => {
          const run = await start({ jumps: true })
          const found: string[] = []
          for (const step of sequence) {
            await run.step(step)
            if (step.do !== 'wait' && step.do !== 'jump') found.push(...broken(run.admissions))
          }
          expect(found).toEqual([])
        }),
        RUNS,
      )
    })

    it('a refusal takes nothing, of no limit', async () => {
      await fc.assert(
        fc.asyncProperty(steps, async (sequence) => {
          const run = await start()
          for (const step of sequence) {
            const before = step.do === 'reserve' ? await run.gate.list() : []
            await run.step(step)
            if (step.do !== 'reserve' || !run.answers.at(-1)?.startsWith('refused')) continue
            expect(await run.gate.list()).toEqual(before)
          }
        }),
        RUNS,
      )
    })

    it('a wall clock that jumps changes no answer', async () => {
      await fc.assert(
        fc.asyncProperty(steps, async (sequence) => {
          const steady = await start({ jumps: false })
          const jumpy = await start({ jumps: true })
          for (const step of sequence) {
            await steady.step(step)
            await jumpy.step(step)
          }
          expect(jumpy.answers).toEqual(steady.answers)
        }),
        RUNS,
      )
    })

    it('a second settle or release does nothing', async () => {
      await fc.assert(
        fc.asyncProperty(steps, fc.boolean(), fc.boolean(), async (sequence, first, second) => {
          const run = await start()
          for (const step of sequence) await run.step(step)
          const call = run.open()[0]
          if (call === undefined) return
          const end = (settle: boolean) =>
            settle
              ? run.gate.settle(call.reservation, actualOf(3, 4))
              : run.gate.release(call.reservation)
          await end(first)
          const once = await run.gate.list()
          await end(second)
          await end(!second)
          expect(await run.gate.list()).toEqual(once)
          expect(await run.gate.openReservations()).toBe(run.open().length - 1)
        }),
        RUNS,
      )
    })

    it('the order in which open reservations end does not matter, windows ended or not', async () => {
      await fc.assert(
        fc.asyncProperty(steps, fc.nat(70_000), async (sequence, waitMs) => {
          const views: (readonly CounterView[])[] = []
          for (const backwards of [false, true]) {
            const run = await start()
            for (const step of sequence) await run.step(step)
            await run.step({ do: 'wait', ms: waitMs })
            const calls = backwards ? run.open().toReversed() : run.open()
            for (const { reservation, admission } of calls) {
              const output = Math.floor(admission.outputTokens / 3)
              await run.gate.settle(reservation, actualOf(admission.demand.inputTokens, output))
            }
            views.push(sorted(await run.gate.list()))
          }
          expect(views[1]).toEqual(views[0])
        }),
        RUNS,
      )
    })

    it('a request passes exactly when its refusal said, if nothing else happens', async () => {
      await fc.assert(
        fc.asyncProperty(steps, reserveStep, async (sequence, last) => {
          const attempt = async (waitedMs: (retryAfterMs: number) => number) => {
            const run = await start()
            for (const step of sequence) await run.step(step)
            await run.step(last)
            const answer = run.answers.at(-1) ?? ''
            const retryAfterMs = Number(answer.split(' ')[2])
            if (answer.startsWith('admitted') || !(retryAfterMs > 0)) return null
            await run.step({ do: 'wait', ms: waitedMs(retryAfterMs) })
            await run.step(last)
            return run.answers.at(-1)?.split(' ')[0] ?? null
          }
          const names = LIMITS.filter((_, index) => last.limits.includes(index))
          if (names.some((limit) => limit.unit === 'concurrent')) return
          const onTime = await attempt((ms) => ms)
          if (onTime === null) return
          expect(onTime).toBe('admitted')
          expect(await attempt((ms) => ms - 1)).toBe('refused')
        }),
        { numRuns: 400 },
      )
    })

    const durable = [
      limitOf(lifetime(4_000)),
      limitOf(fixed(2_000, HOUR)),
      limitOf(sliding(2_000, HOUR)),
      limitOf(bucket(3_000, 0.4)),
    ]
    const uses = fc.array(fc.record({ tokens: fc.nat(400), waitMs: fc.nat(600_000) }), {
      minLength: 1,
      maxLength: 20,
    })

    it.each(['charge', 'forget'] as const)(
      'a restart never makes a budget larger, whichever way the clock went meanwhile: %s',
      async (openOnRestore) => {
        await fc.assert(
          fc.asyncProperty(
            uses,
            fc.integer({ min: -7_200_000, max: 7_200_000 }),
            fc.nat(3_600_000),
            async (sequence, downMs, laterMs) => {
              const charges = durable.map((limit) => chargeOf(limit))
              const before = await start()
              const states = new Map<string, CounterState>()
              for (const { tokens, waitMs } of sequence) {
                await before.step({ do: 'wait', ms: waitMs })
                const result = await before.gate.reserve(charges, demandFor(tokens))
                if (!result.ok) continue
                const { reservation } = result
                // Every third request dies with the process, when its worst case counts.
                const dies = openOnRestore === 'charge' && tokens % 3 === 0
                if (!dies) await before.gate.settle(reservation, actualOf(tokens >> 1))
                for (const state of await before.gate.takeChanged()) {
                  states.set(state.counterKey, state)
                }
              }
              const after = await start({ wallMs: before.clock.wallMs() + downMs, openOnRestore })
              await after.gate.restore([...states.values()])
              if (downMs > 0) await before.step({ do: 'wait', ms: downMs })
              await before.step({ do: 'wait', ms: laterMs })
              await after.step({ do: 'wait', ms: laterMs })
              const held = await after.gate.list()
              expect(freer(held, await before.gate.list())).toEqual([])
              expect(held.filter((view) => view.reserved > 0)).toEqual([])
            },
          ),
          RUNS,
        )
      },
    )

    it('a restored gate answers as the old one would have', async () => {
      await fc.assert(
        fc.asyncProperty(uses, uses, async (first, second) => {
          const charges = durable.map((limit) => chargeOf(limit))
          const before = await start()
          const states = new Map<string, CounterState>()
          for (const { tokens, waitMs } of first) {
            await before.step({ do: 'wait', ms: waitMs })
            const result = await before.gate.reserve(charges, demandFor(tokens))
            if (!result.ok) continue
            await before.gate.settle(result.reservation, actualOf(tokens))
            for (const state of await before.gate.takeChanged()) {
              states.set(state.counterKey, state)
            }
          }
          const after = await start({ wallMs: before.clock.wallMs() })
          await after.gate.restore([...states.values()])
          for (const { tokens, waitMs } of second) {
            await before.step({ do: 'wait', ms: waitMs })
            await after.step({ do: 'wait', ms: waitMs })
            const results = [before, after].map(async ({ gate }) => {
              const result = await gate.reserve(charges, demandFor(tokens))
              return result.ok ? null : result.refusal.limit.id
            })
            const [old, restored] = await Promise.all(results)
            expect(restored).toBe(old)
          }
        }),
        RUNS,
      )
    })
  })

  it('refuses to start from a state that cannot be read', async () => {
    const { gate } = await start()
    const limit = limitOf(lifetime(100))
    admitted(await gate.reserve([chargeOf(limit)], demandFor(10)))
    const [saved] = await gate.takeChanged()
    expect(saved).toBeDefined()
    const other = await start()
    for (const state of ['', '{}', saved?.state.replaceAll('lifetime', 'eternity') ?? '']) {
      await expect(async () => other.gate.restore([{ counterKey: 'k', state }])).rejects.toThrow(
        'counter "k"',
      )
    }
  })
}

/** Counters of which `after`, restored from `before`, holds less. */
function freer(after: readonly CounterView[], before: readonly CounterView[]): readonly string[] {
  const held = new Map(after.map((view) => [view.id, view.used + view.reserved]))
  return before
    .filter((view) => view.used + view.reserved > (held.get(view.id) ?? 0))
    .map((view) => view.id)
}

function sorted(views: readonly CounterView[]): readonly CounterView[] {
  return views.toSorted(
    (one, other) => one.id.localeCompare(other.id) || one.value.localeCompare(other.value),
  )
}
