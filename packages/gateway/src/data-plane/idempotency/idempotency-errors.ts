import { GatewayError } from '../../errors/gateway-error.ts'

const PARAM = 'Idempotency-Key'

export function keyOfAnother(): GatewayError {
  const problem =
    'This Idempotency-Key was used for another request. Use a new key for a new request.'
  return new GatewayError('idempotency_mismatch', problem, { details: { param: PARAM } })
}

/** Clients that send a request again would only get the same. */
export function answerTooLarge(): GatewayError {
  const problem =
    'The request with this Idempotency-Key was answered, and its answer was too large to be kept. Use a new key to make the call again.'
  return new GatewayError('idempotency_too_large', problem, {
    details: { param: PARAM, headers: { 'x-should-retry': 'false' } },
  })
}

export function storeUnavailable(cause: unknown): GatewayError {
  const problem =
    'Answers under an Idempotency-Key cannot be looked up now, so nothing is sent twice.'
  return new GatewayError('idempotency_unavailable', problem, {
    cause,
    details: { headers: { 'retry-after': '1' } },
  })
}
