import type { GatewayError } from '../../errors/gateway-error.ts'
import { errorBody } from '../openai-wire/error.ts'

/** A chunk that holds `error` makes the SDK throw; no `[DONE]` follows it. */
export function renderStreamError(error: GatewayError, _requestId: string): string {
  return `data: ${JSON.stringify(errorBody(error))}\n\n`
}
