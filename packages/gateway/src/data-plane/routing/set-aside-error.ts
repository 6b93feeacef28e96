import type { TargetBlock } from '../../contracts/routing.ts'
import { GatewayError } from '../../errors/gateway-error.ts'

const MS_PER_SEC = 1000

/** Nothing could be sent to any target, and the time of the first that may be tried again is known. */
export function setAsideError(blocks: readonly TargetBlock[], nowMs: number): GatewayError {
  const [first] = blocks.toSorted((one, other) => one.untilMs - other.untilMs)
  if (first === undefined) throw new TypeError('nothing is set aside')
  const waitMs = Math.max(1, Math.ceil(first.untilMs - nowMs))
  const headers = {
    'retry-after': String(Math.ceil(waitMs / MS_PER_SEC)),
    'retry-after-ms': String(waitMs),
  }
  const isRate = first.failure === 'rate_limited' || first.failure === 'quota'
  return new GatewayError(
    isRate ? 'targets_set_aside' : 'no_target_available',
    `${describe(first)} It may be asked again in ${waitMs} ms.`,
    { details: { headers } },
  )
}

function describe({ reason, failure }: TargetBlock): string {
  if (reason === 'circuit_open') return 'Every provider of this model is failing.'
  if (failure === 'quota') return 'The account at the provider of this model is empty.'
  return "Every provider of this model has reached its own rate limit for the gateway's account."
}

/** The provider is failing, and as many calls as it may get have been made again. */
export function retriesSpentError(provider: string): GatewayError {
  return new GatewayError(
    'no_target_available',
    `The provider ${provider} is failing, and no more retries are sent to it now.`,
    { details: { headers: { 'retry-after': '1', 'x-should-retry': 'false' } } },
  )
}
