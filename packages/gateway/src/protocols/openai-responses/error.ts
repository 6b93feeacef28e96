import type { GatewayError } from '../../errors/gateway-error.ts'

/**
 * The error event, flat as the reference shows it. How far the stream has counted is not known here, and no client
 * minds: after this event nothing follows.
 */
export function renderStreamError(error: GatewayError, _requestId: string): string {
  const event = {
    type: 'error',
    code: error.code,
    message: error.message,
    param: error.details.param ?? null,
    sequence_number: 0,
  }
  return `event: error\ndata: ${JSON.stringify(event)}\n\n`
}
