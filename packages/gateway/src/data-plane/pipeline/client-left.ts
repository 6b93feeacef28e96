import { GatewayError } from '../../errors/gateway-error.ts'
import type { RequestContext } from './request-context.ts'

/**
 * The client left before its answer was whole. The call to the provider ends with it, or, where the provider is set to
 * `drain`, is read on to its usage for as long as `drain_cap` allows.
 */
export function clientLeft(ctx: RequestContext): void {
  ctx.clientGone = true
  if (ctx.arms !== null) {
    for (const arm of ctx.arms) giveUp(arm)
    return
  }
  const provider = ctx.target?.provider
  if (provider?.onClientAbort !== 'drain') return giveUp(ctx)
  // What is read on can still be given to others.
  if (ctx.audience === null) ctx.relay?.discard()
  setTimeout(() => {
    if (ctx.audience?.isEmpty() !== false) giveUp(ctx)
  }, provider.drainCapMs).unref()
}

/** At the places where a call has been waited for: nobody may be there any more. Throws `cancelled`. */
export function checkClient(ctx: RequestContext): void {
  if (ctx.clientGone) throw new GatewayError('cancelled', 'The client left.')
}

function giveUp({ relay, call }: RequestContext): void {
  if (relay === null) call?.abort()
  else relay.giveUp()
}
