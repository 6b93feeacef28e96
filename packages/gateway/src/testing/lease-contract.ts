import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Demand, LimitPlan, Reservation } from '../contracts/limit.ts'
import {
  actualOf,
  admitted,
  bucket,
  chargeOf,
  demandFor,
  fixed,
  type GateUnderTest,
  lifetime,
  limitOf,
  type MakeGate,
  MINUTE,
  refused,
  SECOND,
  sliding,
} from './gate-fixtures.ts'
import { type Amount, excessOf } from './gate-model.ts'
import { TEST_START_MS, VirtualClock } from './virtual-clock.ts'

function leased(input: number, output: number): Demand {
  return { ...demandFor(input, output), mayLease: true }
}

const life = limitOf(lifetime(2_000), { reserve: 'lease' })

const LIMITS: readonly LimitPlan[] = [
  limitOf(lifetime(3_000), { reserve: 'lease' }),
  limitOf(fixed(700, MINUTE), { reserve: 'lease', unit: 'output_tokens' }),
  limitOf(sliding(900, MINUTE), { reserve: 'lease' }),
  limitOf(sliding(900, SECOND), { id: 'second', reserve: 'lease' }),
  limitOf(bucket(400, 7.3), { reserve: 'lease' }),
  limitOf(bucket(300_000, 31_007), { id: 'usd', unit: 'usd', reserve: 'lease' }),
  limitOf(lifetime(6_000), { id: 'max' }),
]

const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('reserve' as const),
      limits: fc.uniqueArray(fc.nat(LIMITS.length - 1), { minLength: 1 }),
      input: fc.nat(40),
      output: fc.nat(400),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('extend' as const), which: fc.nat(9), by: fc.nat(60) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      which: fc.nat(9),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.oneof(fc.nat(40), fc.nat(2_000), fc.constantFrom(1_000, 60_000)),
    }),
  },
)

type Part = { readonly atMs: number; input: number; output: number }
type Stream = {
  readonly limits: readonly number[]
  readonly reservation: Reservation
  readonly parts: Part[]
  open: boolean
}

/** What each limit holds by its definition: every part at the time when it was taken. */
function amountsOf(streams: readonly Stream[], index: number): readonly Amount[] {
  const unit = LIMITS[index]?.unit
  return streams
    .filter(({ limits }) => limits.includes(index))
    .flatMap(({ parts, open }) =>
      parts.map(({ atMs, input, output }) => {
        if (unit === 'output_tokens') return { atMs, amount: output, open }
        return { atMs, amount: (input + output) * (unit === 'usd' ? 1_000 : 1), open }
      }),
    )
    .toSorted((one, other) => one.atMs - other.atMs)
}

/** The earlier parts are used up first. */
function useOnly(parts: Part[], input: number, output: number): void {
  let leftInput = input
  let leftOutput = output
  for (const part of parts) {
    part.input = Math.min(part.input, leftInput)
    leftInput -= part.input
    part.output = Math.min(part.output, leftOutput)
    leftOutput -= part.output
  }
}

type Step = typeof step extends fc.Arbitrary<infer One> ? One : never

/** Drives a gate through steps, and remembers what each stream was given and when. */
class Run {
  readonly streams: Stream[] = []
  readonly #clock: VirtualClock
  readonly #gate: GateUnderTest
  #nowMs = TEST_START_MS

  constructor(gate: GateUnderTest, clock: VirtualClock) {
    this.#gate = gate
    this.#clock = clock
  }

  async step(one: Step): Promise<void> {
    const open = this.streams.filter((stream) => stream.open)
    const stream = 'which' in one ? open[one.which % Math.max(1, open.length)] : undefined
    if (one.do === 'wait') {
      this.#clock.advance(one.ms)
      this.#nowMs += one.ms
    } else if (one.do === 'reserve') await this.#reserve(one)
    else if (stream === undefined) return
    else if (one.do === 'extend') await this.#extend(stream, one.by)
    else await this.#settle(stream, one.share)
  }

  async #reserve({ limits, input, output }: Extract<Step, { do: 'reserve' }>): Promise<void> {
    const charges = LIMITS.filter((_, index) => limits.includes(index)).map((one) => chargeOf(one))
    const result = await this.#gate.reserve(charges, leased(input, output))
    if (!result.ok) return
    const { reservation } = result
    const parts = [{ atMs: this.#nowMs, input, output: reservation.heldTokens ?? 0 }]
    this.streams.push({ limits, reservation, parts, open: true })
  }

  async #extend({ reservation, parts }: Stream, by: number): Promise<void> {
    const before = reservation.heldTokens ?? 0
    const held = await this.#gate.extend(reservation, before + by)
    if (held < before || held > reservation.outputTokens) throw new Error(`${before} to ${held}`)
    if (held > before) parts.push({ atMs: this.#nowMs, input: 0, output: held - before })
  }

  async #settle(stream: Stream, share: number): Promise<void> {
    const { reservation, parts } = stream
    const input = parts[0]?.input ?? 0
    const output = Math.floor((reservation.heldTokens ?? 0) * share)
    useOnly(parts, input, output)
    await this.#gate.settle(reservation, actualOf(input, output))
    stream.open = false
  }
}

/** What every backend does for streams that hold only part of their output. `runs`: of the property. */
export function leaseContract(name: string, makeGate: MakeGate, runs: number): void {
  const start = async (clock = new VirtualClock()): Promise<GateUnderTest> =>
    await makeGate({ clock, onAlert: () => {} })

  describe(`${name}: a lease`, () => {
    it('holds all at once where there is plenty, and little where there is not', async () => {
      const gate = await start()
      const rich = limitOf(lifetime(1e6), { id: 'rich', reserve: 'lease' })
      const plenty = admitted(await gate.reserve([chargeOf(rich)], leased(10, 500)))
      expect([plenty.heldTokens, plenty.outputTokens]).toEqual([500, 500])
      const scarce = admitted(await gate.reserve([chargeOf(life)], leased(10, 5_000)))
      expect([scarce.heldTokens, scarce.outputTokens]).toEqual([31, 5_000])
      expect(scarce.shrunk).toBe(false)
    })

    it('is for streams only', async () => {
      const gate = await start()
      expect(refused(await gate.reserve([chargeOf(life)], demandFor(10, 5_000))).neverFits).toBe(
        true,
      )
    })

    it('is refused when not even a little is left', async () => {
      const gate = await start()
      const small = limitOf(lifetime(30), { reserve: 'lease' })
      const refusal = refused(await gate.reserve([chargeOf(small)], leased(20, 500)))
      expect(refusal).toMatchObject({ neverFits: true, used: 0 })
    })

    it('grows until the limit is full, and not beyond what was granted', async () => {
      const gate = await start()
      const reservation = admitted(await gate.reserve([chargeOf(life)], leased(100, 5_000)))
      let held = 0
      for (let next = reservation.heldTokens ?? 0; next > held; ) {
        held = next
        next = await gate.extend(reservation, held + 1)
      }
      expect(await gate.list()).toMatchObject([{ used: 0, reserved: 2_000 }])
      await gate.settle(reservation, actualOf(100, 1_500))
      expect(await gate.list()).toMatchObject([{ used: 1_600, reserved: 0 }])
      const short = admitted(await gate.reserve([chargeOf(life)], leased(0, 100)))
      expect(await gate.extend(short, 1_000)).toBe(100)
    })

    it('that reaches into another window is settled in both, in order', async () => {
      const clock = new VirtualClock()
      const gate = await start(clock)
      const limit = limitOf(fixed(320, MINUTE), { reserve: 'lease' })
      const reservation = admitted(await gate.reserve([chargeOf(limit)], leased(10, 1_000)))
      expect(reservation.heldTokens).toBe(16)
      clock.advance(60_000)
      expect(await gate.extend(reservation, 50)).toBe(50)
      expect(await gate.list()).toMatchObject([{ used: 0, reserved: 34 }])
      await gate.settle(reservation, actualOf(10, 40))
      expect(await gate.list()).toMatchObject([{ used: 24, reserved: 0 }])
      expect(gate.openReservations()).toBe(0)
    })

    it('after it ended holds nothing more', async () => {
      const gate = await start()
      const reservation = admitted(await gate.reserve([chargeOf(life)], leased(10, 5_000)))
      await gate.release(reservation)
      await gate.extend(reservation, 1_000)
      expect(await gate.list()).toEqual([])
    })

    it('lets 20 streams use a budget of 2,000 tokens almost whole before the first is cut', async () => {
      for (const each of [60, 150, 1_000]) {
        const gate = await start()
        const streams: { readonly reservation: Reservation; seen: number }[] = []
        while (streams.length < 20) {
          const reservation = admitted(await gate.reserve([chargeOf(life)], leased(10, each)))
          streams.push({ reservation, seen: 0 })
        }
        const produced = (): number => streams.reduce((sum, { seen }) => sum + 10 + seen, 0)
        const isCut = async (stream: (typeof streams)[number]): Promise<boolean> => {
          stream.seen += 1
          const held = await gate.extend(stream.reservation, Math.min(stream.seen + 1, each))
          return stream.seen >= held && held < each
        }
        let cut = false
        for (let round = 0; round < each && !cut; round++) {
          for (const stream of streams) cut ||= await isCut(stream)
        }
        const enough = each > 90 ? produced() / 2_000 >= 0.95 : !cut
        expect([each, enough]).toEqual([each, true])
      }
    })

    it('never exceed a limit, at any instant, however they are extended, settled or awaited', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (sequence) => {
          const clock = new VirtualClock()
          const run = new Run(await start(clock), clock)
          const broken: string[] = []
          for (const one of sequence) {
            await run.step(one)
            for (const [index, limit] of LIMITS.entries()) {
              if (excessOf(limit, amountsOf(run.streams, index)) > 0) broken.push(limit.id)
            }
          }
          expect(broken).toEqual([])
        }),
        { numRuns: runs },
      )
    })
  })
}
