import type { LimitAlgorithm } from '../../contracts/limit.ts'
import { isRecord } from '../../lib/is-record.ts'
import { savedNumber } from './meter.ts'

/** What is settled in each window, as pairs of the window (see `DurableCharge.at`) and the amount. */
export type SettledParts = readonly (readonly [at: number, amount: number])[]

type State = Readonly<Record<string, unknown>>

/** Of a meter's saved state. Null: the algorithm gives back as time passes, so charges do not add up to it. */
export function settledParts(kind: LimitAlgorithm['kind'], meter: State): SettledParts | null {
  switch (kind) {
    case 'fixed':
      return [[savedNumber(meter, 'start_ms'), savedNumber(meter, 'settled')]]
    case 'lifetime':
      return [[0, savedNumber(meter, 'settled')]]
    case 'sliding':
      return slotsOf(meter).map((slot) => [savedNumber(slot, 'at'), savedNumber(slot, 'settled')])
    case 'bucket':
    case 'concurrent':
      return null
  }
}

function slotsOf(meter: State): readonly State[] {
  const { slots } = meter
  if (!Array.isArray(slots)) throw new TypeError('"slots" is not a list.')
  return slots.filter(isRecord)
}
