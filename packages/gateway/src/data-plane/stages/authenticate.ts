import { GatewayError } from '../../errors/gateway-error.ts'
import type { KeyPlan } from '../../plan/gateway-plan.ts'
import { isAddressIn } from '../http/client-address.ts'
import type { RequestContext } from '../pipeline/request-context.ts'

/** Finds the caller by its key. One answer for unknown, expired, disabled and revoked keys. Hot. */
export function authenticate(ctx: RequestContext): void {
  const { credential } = ctx.head
  const { plan, dataPlane } = ctx
  const known =
    credential === null ? null : dataPlane.findKey(credential, ctx.startedAtMs, ctx.seenKey)
  // SDKs always send some key, so where none is required, one that nobody knows is no key.
  const key = known ?? plan.anonymous
  if (key === null) throw refusedKey()
  ctx.key = key
  authorize(key, ctx.endpoint.endpoint, ctx.clientIp)
}

/** One answer for every reason. */
export function refusedKey(): GatewayError {
  return new GatewayError('invalid_api_key', 'The API key is missing or not valid.')
}

/** Throws when this key may not use an endpoint, or not from this address. */
export function authorize(key: KeyPlan, endpoint: string, clientIp: string): void {
  const scoped = key.scopes !== null && !key.scopes.has(endpoint)
  const denied = key.policy.endpoints !== null && !key.policy.endpoints.has(endpoint)
  if (scoped || denied) {
    const problem = `This key may not use the endpoint "${endpoint}".`
    throw new GatewayError('endpoint_not_allowed', problem)
  }
  authorizeAddress(key, clientIp)
}

/** Throws when this key may not be used from an address. */
export function authorizeAddress({ policy }: KeyPlan, clientIp: string): void {
  const { ipAllow } = policy
  if (ipAllow !== null && !isAddressIn(clientIp, ipAllow)) {
    throw new GatewayError('ip_not_allowed', 'This key may not be used from this address.')
  }
}
