import type { TargetPlan } from '../../plan/gateway-plan.ts'
import { known, type RouteContext } from '../pipeline/request-context.ts'
import { countFor, largestPrompts } from '../usage/count-input.ts'
import type { RequestSize } from './select-query.ts'

/** What text usually is to a token. */
const BYTES_PER_TOKEN = 4

/**
 * How large the request is, for the choice among these targets. Counted only where the size in bytes leaves open whether it
 * fits: counting costs a worker's time on every new text. `counts`: something else needs the number.
 */
export function requestSize(
  ctx: RouteContext,
  targets: readonly TargetPlan[],
  counts: boolean,
): RequestSize | Promise<RequestSize> {
  const envelope = known(ctx.envelope, 'envelope')
  const { choices, sizeBytes } = envelope
  const outputCap = cappedOutput(ctx)
  const boundTokens = targets.some(hasContext) ? boundOf(ctx) : null
  const roughTokens = ctx.statedInputTokens ?? Math.ceil(sizeBytes / BYTES_PER_TOKEN)
  const size: RequestSize = { counted: null, boundTokens, roughTokens, outputCap, choices }
  if (ctx.statedInputTokens !== null) return size
  if (!counts && !isNear(targets, (boundTokens ?? sizeBytes) + (outputCap ?? 0))) return size
  const counted = countFor(ctx, targets)
  if (counted instanceof Promise) return counted.then((one) => ({ ...size, counted: one }))
  return { ...size, counted }
}

/** Reads through the body, so it is asked only where it decides something. */
function boundOf(ctx: RouteContext): number | null {
  const own = ctx.statedInputTokens ?? ctx.endpoint.boundInput(ctx.body)
  return own === null ? null : own + (largestPrompts(ctx)?.boundTokens ?? 0)
}

function hasContext({ contextTokens }: TargetPlan): boolean {
  return contextTokens !== null
}

/** Whether so many tokens might not fit somewhere. */
function isNear(targets: readonly TargetPlan[], tokens: number): boolean {
  for (const { contextTokens } of targets) {
    if (contextTokens !== null && tokens > contextTokens) return true
  }
  return false
}

/** The client's cap, or the policy's where that is tighter. Null: none is sent. */
function cappedOutput(ctx: RouteContext): number | null {
  const { maxOutputTokens: asked } = known(ctx.envelope, 'envelope')
  const { maxOutputTokens: allowed } = known(ctx.terms, 'terms').policy
  if (allowed === null || !ctx.endpoint.billed || ctx.endpoint.media === true) return asked
  return asked === null ? allowed : Math.min(asked, allowed)
}
