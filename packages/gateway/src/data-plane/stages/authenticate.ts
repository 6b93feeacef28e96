import { GatewayError } from '../../errors/gateway-error.ts'
import { isAddressIn } from '../http/client-address.ts'
import type { RequestContext } from '../pipeline/request-context.ts'

/** Finds the caller by its key. One answer for unknown, expired, disabled and revoked keys. Hot. */
export function authenticate(ctx: RequestContext): void {
  const { credential } = ctx.head
  const { plan, dataPlane } = ctx
  if (credential === null && !plan.keysRequired && plan.anonymous !== null) {
    ctx.key = plan.anonymous
    return
  }
  const key = credential === null ? null : dataPlane.findKey(credential, ctx.startedAtMs)
  if (key === null)
    throw new GatewayError('invalid_api_key', 'The API key is missing or not valid.')
  ctx.key = key
  authorize(ctx)
}

function authorize(ctx: RequestContext): void {
  const { key, endpoint } = ctx
  if (key === null) return
  const name = endpoint.endpoint
  const scoped = key.scopes !== null && !key.scopes.has(name)
  const denied = key.policy.endpoints !== null && !key.policy.endpoints.has(name)
  if (scoped || denied) {
    throw new GatewayError('endpoint_not_allowed', `This key may not use the endpoint "${name}".`)
  }
  const { ipAllow } = key.policy
  if (ipAllow !== null && !isAddressIn(ctx.clientIp, ipAllow)) {
    throw new GatewayError('ip_not_allowed', 'This key may not be used from this address.')
  }
}
