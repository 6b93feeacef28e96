import type { ProcessGate, Refusal } from '../../contracts/limit.ts'
import { requestCharges } from '../limits/late-charges.ts'
import type { AdmitContext } from '../pipeline/request-context.ts'

/**
 * The limit that refused the request, before any target's own was asked. Asked once more: what is refused takes nothing, so
 * that the answer is the same. Null: none of these.
 */
export function requestRefusal(ctx: AdmitContext, gate: ProcessGate): Refusal | null {
  if (ctx.demand === null || ctx.reservation !== null) return null
  const charges = requestCharges(ctx)
  if (charges.length === 0) return null
  const result = gate.reserve(charges, ctx.demand)
  return result.ok ? null : result.refusal
}
