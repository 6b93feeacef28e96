import { GatewayError } from '../../errors/gateway-error.ts'
import type { GatewayPlan, KeyPlan } from '../../plan/gateway-plan.ts'
import type { SeenKey } from '../../plan/key-ring.ts'
import { isAddressIn } from '../http/client-address.ts'
import type { DataPlane } from '../pipeline/data-plane.ts'
import type { RequestContext } from '../pipeline/request-context.ts'

/** Finds the caller by its key. Hot. */
export function authenticate(ctx: RequestContext): void {
  const { clientIp, startedAtMs: nowMs, seenKey: seen } = ctx
  ctx.key = identify(ctx.dataPlane, ctx.plan, {
    credential: ctx.head.credential,
    clientIp,
    nowMs,
    seen,
  })
  authorize(ctx.key, ctx.endpoint.endpoint, clientIp)
}

type Shown = {
  readonly credential: string | null
  readonly clientIp: string
  /** By the wall: keys expire. */
  readonly nowMs: number
  readonly seen?: SeenKey
}

/** Whose key it is. One refusal for unknown, expired, disabled and revoked keys. */
export function identify(
  { findKey, wrongKeys, clock }: Pick<DataPlane, 'findKey' | 'wrongKeys' | 'clock'>,
  plan: GatewayPlan,
  { credential, clientIp, nowMs, seen }: Shown,
): KeyPlan {
  const known = credential === null ? null : findKey(credential, nowMs, seen)
  // SDKs always send some key, so where none is required, one that nobody knows is no key.
  const key = known ?? plan.anonymous
  if (key === null) throw wrongKeys.refusal(credential, clientIp, clock.monotonicMs())
  return key
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
