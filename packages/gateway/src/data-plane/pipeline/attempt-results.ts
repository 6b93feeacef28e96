import type { IncomingHttpHeaders } from 'node:http'
import type { FailureClass } from '../../contracts/provider.ts'
import type { AttemptOutcome } from '../../contracts/routing.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import type { TargetPlan } from '../../plan/gateway-plan.ts'
import { failureOf } from './attempt-tickets.ts'
import type { OpenStream } from './open-stream.ts'
import { known, type RequestContext } from './request-context.ts'

const RETRY_HEADERS = ['retry-after', 'retry-after-ms', 'x-should-retry'] as const

/** What the attempts came to: an answer to hand over whole (an upstream's refusal too), or a stream that has begun. */
export type Answer =
  | {
      readonly kind: 'whole'
      readonly status: number
      readonly headers: IncomingHttpHeaders
      readonly body: Buffer
    }
  | { readonly kind: 'stream'; readonly stream: OpenStream }

/** One attempt's failure: what to tell the client if no other target answers. */
export type Failure = {
  readonly error: GatewayError
  readonly refused: Refused | null
  readonly failureClass: Exclude<AttemptOutcome['failure'], null>
  /** How long the upstream asks to be left alone; null: it does not say. */
  readonly waitMs: number | null
}

/** An upstream's refusal that may be passed on as it came. */
export type Refused = {
  readonly answer: Extract<Answer, { kind: 'whole' }>
  readonly target: TargetPlan
  readonly failureClass: FailureClass
}

/** Of a translated answer only what is not about its body is the upstream's. */
export function headersOf(ctx: RequestContext, headers: IncomingHttpHeaders): IncomingHttpHeaders {
  if (ctx.translation === null) return headers
  const kept: IncomingHttpHeaders = { 'content-type': 'application/json' }
  for (const name of RETRY_HEADERS) {
    const value = headers[name]
    if (typeof value === 'string') kept[name] = value
  }
  return kept
}

/** Nobody asked for it, and nothing here would decode it. */
export function isCompressed(headers: IncomingHttpHeaders): boolean {
  const encoding = headers['content-encoding']
  return encoding !== undefined && encoding !== '' && encoding !== 'identity'
}

export function providerFailure(
  code: GatewayError['code'],
  ctx: RequestContext,
  problem: string,
): Failure {
  const { provider } = known(ctx.target, 'target')
  const error = new GatewayError(code, `The provider ${provider.name} ${problem}`)
  return { error, refused: null, failureClass: failureOf(error), waitMs: null }
}
