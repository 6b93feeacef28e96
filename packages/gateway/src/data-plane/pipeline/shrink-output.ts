import type { TargetPlan } from '../../plan/gateway-plan.ts'
import { estimateInput } from '../usage/count-input.ts'
import { known, type RequestContext } from './request-context.ts'

/** Between what is counted here and what the vendor counts. Tokens. */
const MARGIN_TOKENS = 256
/** An answer that is shorter is none. */
const FEWEST_TOKENS = 64

/**
 * Lowers the output cap so that input and output fit into the target's context. False: they do not, or the cap is not what
 * is too large.
 */
export async function shrinkOutput(ctx: RequestContext, target: TargetPlan): Promise<boolean> {
  const { contextTokens } = target
  const cap = ctx.outputCap ?? known(ctx.envelope, 'envelope').maxOutputTokens
  if (contextTokens === null || cap === null || ctx.endpoint.media === true) return false
  const inputTokens = await estimateInput(ctx)
  const room = contextTokens - inputTokens - MARGIN_TOKENS
  if (room < FEWEST_TOKENS || room >= cap) return false
  ctx.outputCap = room
  return true
}
