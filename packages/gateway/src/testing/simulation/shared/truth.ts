import type { Actual, LimitCharge, LimitPlan } from '../../../contracts/limit.ts'
import { actualAmount } from '../../../data-plane/limits/amounts.ts'
import { chargeOf, concurrent, DAY, fixed, lifetime, limitOf } from '../../gate-fixtures.ts'

/** Small enough that a few clients use all of them up. */
const LIMITS: readonly LimitPlan[] = [
  limitOf(lifetime(2_500), { id: 'life', whenShort: 'shrink', minOutputTokens: 5 }),
  limitOf(lifetime(4_000), { id: 'leased', reserve: 'lease', scope: 'team' }),
  limitOf(fixed(5_000, DAY), { id: 'day', unit: 'output_tokens', scope: 'global' }),
  limitOf(lifetime(150), { id: 'calls', unit: 'requests', scope: 'global' }),
  limitOf(concurrent(40), { id: 'parallel', unit: 'concurrent', scope: 'global' }),
]

export function sharedCharges(user: number): readonly LimitCharge[] {
  return LIMITS.map((limit) => {
    if (limit.scope === 'global') return chargeOf(limit, '')
    return chargeOf(limit, limit.scope === 'team' ? 'team' : `user-${user}`)
  })
}

type Account = {
  readonly limit: LimitPlan
  settled: number
  readonly open: Map<string, number>
  /** May be counted once more. */
  doubtful: number
}

/** What calls were really given and used, whatever any gateway or server believes. */
export class Truth {
  readonly #accounts = new Map<string, Account>()
  /** Set by whatever took more. */
  changed = false

  /** What the call may use at worst from now on. */
  hold(call: string, charges: readonly LimitCharge[], worst: Actual): void {
    for (const charge of charges) {
      this.#of(charge).open.set(call, actualAmount(charge.limit.unit, worst))
    }
    this.changed = true
  }

  end(call: string, charges: readonly LimitCharge[], used: Actual | null): void {
    for (const charge of charges) {
      const account = this.#of(charge)
      account.open.delete(call)
      if (used !== null && charge.limit.unit !== 'concurrent') {
        account.settled += actualAmount(charge.limit.unit, used)
      }
    }
  }

  /** 1, 5: never more than the limit, at any instant, over all gateways. */
  broken(): string | null {
    if (!this.changed) return null
    this.changed = false
    for (const [key, { limit, settled, open }] of this.#accounts) {
      const amount = limit.algorithm.kind === 'bucket' ? Infinity : limit.algorithm.amount
      const held = [...open.values()].reduce((sum, one) => sum + one, 0)
      if (settled + held > amount)
        return `1, 5: ${key}: ${settled} used and ${held} held of ${amount}`
    }
    return null
  }

  /**
   * An end that the server counted and of which its gateway did not hear. If the server loses its data now, others may
   * bring what they saw of the counter, and the gateway tells the end again: too much is counted, never too little.
   */
  doubt(counterKey: string, used: number): void {
    const account = this.#accounts.get(counterKey)
    if (account !== undefined) account.doubtful += used
  }

  usedOf(counterKey: string): { readonly least: number; readonly most: number } {
    const { settled, doubtful } = this.#accounts.get(counterKey) ?? { settled: 0, doubtful: 0 }
    return { least: settled, most: settled + doubtful }
  }

  #of({ counterKey, limit }: LimitCharge): Account {
    let account = this.#accounts.get(counterKey)
    if (account === undefined) {
      account = { limit, settled: 0, open: new Map(), doubtful: 0 }
      this.#accounts.set(counterKey, account)
    }
    return account
  }
}
