import type { RetryBudgetPlan } from '../../plan/gateway-plan.ts'

/** Attempts that were earned and not used are kept up to here. */
const MOST_EARNED = 10
/** What is ready for the first call of all, and comes back by itself, so that a rare call may be made again. */
const READY = 1
const READY_AGAIN_MS = 30_000
/** In which the burst of a policy comes back. */
const BURST_AGAIN_MS = 60_000
/** Providers are the operator's; this only bounds those that were removed. */
const MOST_PROVIDERS = 1_000

type Budget = { earned: number; burst: number; atMs: number }

/**
 * How many attempts a provider gets beyond the first of each call: a share of those first ones. Retries of clients count
 * like those of the gateway, so that the two do not multiply while a provider is in trouble.
 */
export class RetryBudgets {
  private readonly budgets = new Map<string, Budget>()

  /** The first attempt of a call at this provider. Hot. */
  earn(provider: string, { share, burst }: RetryBudgetPlan, nowMs: number): void {
    const budget = this.budgets.get(provider) ?? this.open(provider, burst, nowMs)
    budget.earned = Math.min(MOST_EARNED, budget.earned + share)
  }

  /**
   * Whether one more attempt may be made. `asked`: a policy wants it, so that the burst stands for it too, when nothing is
   * earned.
   */
  take(
    provider: string,
    plan: RetryBudgetPlan,
    use: { readonly asked: boolean; readonly nowMs: number },
  ): boolean {
    const budget = this.budgets.get(provider) ?? this.open(provider, plan.burst, use.nowMs)
    this.refill(budget, plan, use.nowMs)
    if (budget.earned >= 1) {
      budget.earned -= 1
      return true
    }
    if (!use.asked || budget.burst < 1) return false
    budget.burst -= 1
    return true
  }

  private refill(budget: Budget, { share, burst }: RetryBudgetPlan, nowMs: number): void {
    const passedMs = nowMs - budget.atMs
    budget.atMs = nowMs
    if (share > 0 && budget.earned < READY) {
      budget.earned = Math.min(READY, budget.earned + passedMs / READY_AGAIN_MS)
    }
    budget.burst = Math.min(burst, budget.burst + (passedMs / BURST_AGAIN_MS) * burst)
  }

  private open(provider: string, burst: number, nowMs: number): Budget {
    if (this.budgets.size >= MOST_PROVIDERS) {
      this.budgets.delete(this.budgets.keys().next().value ?? '')
    }
    const budget = { earned: READY, burst, atMs: nowMs }
    this.budgets.set(provider, budget)
    return budget
  }
}
