import { NO_USAGE } from '../../contracts/usage.ts'
import type { GatewayErrorCode } from '../../errors/gateway-error.ts'
import type { TargetPlan } from '../../plan/gateway-plan.ts'
import { costNanoUsd } from '../usage/cost.ts'
import { estimateInput } from '../usage/count-input.ts'
import type { RequestContext } from './request-context.ts'

/** What attempts came to that were given up after their answers had begun. */
export type SpentBefore = {
  readonly inputTokens: number
  /** Null: unpriced. */
  readonly costNanoUsd: number | null
}

/** Failures of an answer that had begun. */
const BROKEN_OFF: ReadonlySet<GatewayErrorCode> = new Set<GatewayErrorCode>([
  'upstream_truncated',
  'upstream_timeout',
])

/** The provider had begun to answer the call at hand: at least its input was read. */
export function hadBegun({ call }: RequestContext, code: GatewayErrorCode): boolean {
  return call !== null && call.status >= 200 && call.status < 300 && BROKEN_OFF.has(code)
}

/** Another attempt follows: the input of this one is paid too. `target`: of the attempt that failed. */
export async function noteSpent(ctx: RequestContext, target: TargetPlan): Promise<void> {
  if (!ctx.endpoint.billed || ctx.endpoint.media === true) return
  const inputTokens = await estimateInput(ctx)
  const usage = { ...NO_USAGE, inputTokens, outputTokens: 0 }
  const cost = target.price === null ? null : costNanoUsd(usage, target.price)
  const before = ctx.spentBefore
  ctx.spentBefore = {
    inputTokens: inputTokens + (before?.inputTokens ?? 0),
    costNanoUsd: plus(cost, before === null ? 0 : before.costNanoUsd),
  }
}

/** Adds them to what the last attempt came to. */
export function addSpentBefore(ctx: RequestContext): void {
  const { spentBefore: before, usage } = ctx
  if (before === null) return
  ctx.estimated = true
  ctx.costNanoUsd = plus(ctx.costNanoUsd, before.costNanoUsd)
  ctx.usage = {
    ...usage,
    inputTokens: (usage.inputTokens ?? 0) + before.inputTokens,
    outputTokens: usage.outputTokens ?? 0,
  }
}

/** Unknown is never free. */
function plus(one: number | null, other: number | null): number | null {
  return one === null || other === null ? null : one + other
}
