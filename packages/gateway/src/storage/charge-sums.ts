import type { ChargeSum } from '../contracts/ledger-proof.ts'
import { isRecord } from '../lib/is-record.ts'

/** What records say that counters were charged, added up. */
export class ChargeSums {
  readonly #sums = new Map<string, ChargeSum>()

  addRecord(record: Readonly<Record<string, unknown>>): void {
    const { charges } = record
    if (!Array.isArray(charges)) return
    for (const charge of charges) if (isSum(charge)) this.add(charge)
  }

  add({ counter, era, at, amount }: ChargeSum): void {
    const name = `${era} ${at} ${counter}`
    const sum = (this.#sums.get(name)?.amount ?? 0) + amount
    this.#sums.set(name, { counter, era, at, amount: sum })
  }

  all(): readonly ChargeSum[] {
    return [...this.#sums.values()]
  }
}

function isSum(charge: unknown): charge is ChargeSum {
  if (!isRecord(charge) || typeof charge['counter'] !== 'string') return false
  return ['era', 'at', 'amount'].every((name) => Number.isSafeInteger(charge[name]))
}
