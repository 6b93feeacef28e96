import type { IncomingHttpHeaders } from 'node:http'
import type { Refusal } from '../../contracts/limit.ts'
import type { AnswerFacts, ProtocolEndpoint } from '../../contracts/protocol.ts'
import type { FailureClass } from '../../contracts/provider.ts'
import { GatewayError, toGatewayError } from '../../errors/gateway-error.ts'
import type { TargetPlan } from '../../plan/gateway-plan.ts'
import type { ClientAnswer } from '../http/client-answer.ts'
import { classifyFailure } from '../routing/classify-failure.ts'
import { framingOf } from '../stream/answer-framing.ts'
import { refuse, reserveTarget } from '../stages/admit.ts'
import { withAccessToken } from '../upstream/access-tokens.ts'
import { type BuiltRequest, buildRequest } from '../upstream/build-request.ts'
import { collectBody, UpstreamCall } from '../upstream/upstream-call.ts'
import { checkClient } from './client-left.ts'
import { known, type RequestContext, roundMs } from './request-context.ts'
import { noteOpenCall } from './note-open-call.ts'
import { openStream, type OpenStream } from './open-stream.ts'
import { goesOn, retryAttempts } from './retry-attempts.ts'

/** The largest answer that is not streamed. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024
const MAX_ERROR_BYTES = 1024 * 1024
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

/** An upstream's refusal that may be passed on as it came. */
type Refused = {
  readonly answer: Extract<Answer, { kind: 'whole' }>
  readonly target: TargetPlan
  readonly failureClass: FailureClass
}

/** One attempt's failure: what to tell the client if no other target answers. */
export type Failure = { readonly error: GatewayError; readonly refused: Refused | null }

/**
 * Tries the targets in order until one answers. When none does, the last refusal of an upstream is passed on; throws when
 * no upstream said anything worth passing on.
 */
export async function runAttempts(ctx: RequestContext, response: ClientAnswer): Promise<Answer> {
  let last: GatewayError | null = null
  let refused: Refused | null = null
  let short: Refusal | null = null
  for (const target of ctx.targets) {
    checkClient(ctx)
    const reserved = reserveTarget(ctx, target)
    const refusal = reserved instanceof Promise ? await reserved : reserved
    if (refusal !== null) {
      short ??= refusal
      continue
    }
    const result = await attemptTarget(ctx, target, response)
    if (!('error' in result)) return result
    last = result.error
    refused = result.refused ?? refused
    releaseTarget(ctx)
    if (!goesOn(ctx, result)) break
  }
  if (refused !== null && last?.tryNext === true) return passOn(ctx, refused)
  if (last !== null) throw last
  if (short === null) throw new TypeError('a route without targets')
  throw refuse(ctx, short)
}

function attemptTarget(
  ctx: RequestContext,
  target: TargetPlan,
  response: ClientAnswer,
): Promise<Answer | Failure> {
  const retry = ctx.terms?.policy.retry ?? null
  if (retry === null) return attempt(ctx, target, response)
  return retryAttempts(ctx, retry, () => attempt(ctx, target, response))
}

/** The answer, and the record of the target that gave it. */
function passOn(ctx: RequestContext, { answer, target, failureClass }: Refused): Answer {
  ctx.target = target
  ctx.upstreamErrorClass = failureClass
  ctx.outcome = 'refused'
  return answer
}

function releaseTarget(ctx: RequestContext): void {
  if (ctx.attemptReservation === null) return
  ctx.dataPlane.gate.release(ctx.attemptReservation)
  ctx.attemptReservation = null
}

async function attempt(
  ctx: RequestContext,
  target: TargetPlan,
  response: ClientAnswer,
): Promise<Answer | Failure> {
  ctx.target = target
  ctx.call = null
  ctx.attemptCount++
  ctx.attemptStartedMs = performance.now()
  try {
    const built = buildRequest(ctx, target)
    ctx.translation = built.translation
    const authorized = withAccessToken(target.provider, built.request, ctx.dataPlane)
    const request = authorized instanceof Promise ? await authorized : authorized
    checkClient(ctx)
    const noted = noteOpenCall(ctx)
    if (noted instanceof Promise) {
      await noted
      checkClient(ctx)
    }
    const call = new UpstreamCall(target.provider, request, ctx.dataPlane)
    ctx.call = call
    await call.head
    noteHead(ctx, call)
    const result = await readAnswer(ctx, call, { response, built })
    noteAttempt(ctx, 'error' in result ? errorClassOf(result) : ctx.upstreamErrorClass)
    return result
  } catch (thrown) {
    const error = toGatewayError(thrown)
    if (error.code === 'internal') ctx.dataPlane.onError(thrown, ctx.requestId)
    noteAttempt(ctx, ctx.clientGone ? 'cancelled' : error.code)
    return { error, refused: null }
  }
}

function errorClassOf({ error, refused }: Failure): string {
  return refused?.failureClass ?? error.code
}

function noteHead(ctx: RequestContext, call: UpstreamCall): void {
  const id = call.headers['x-request-id'] ?? call.headers['request-id']
  ctx.upstreamRequestId = typeof id === 'string' ? id.slice(0, 256) : null
}

function noteAttempt(ctx: RequestContext, errorClass: string | null): void {
  const durationMs = performance.now() - ctx.attemptStartedMs
  if (ctx.relay === null) ctx.upstreamMs += durationMs
  ctx.attempts.push({
    target: known(ctx.target, 'target').id,
    status: ctx.call === null || ctx.call.status === 0 ? null : ctx.call.status,
    errorClass,
    durationMs: roundMs(durationMs),
  })
}

type AnswerOptions = { readonly response: ClientAnswer; readonly built: BuiltRequest }

async function readAnswer(
  ctx: RequestContext,
  call: UpstreamCall,
  options: AnswerOptions,
): Promise<Answer | Failure> {
  const { status, headers } = call
  if (status >= 300 && status < 400) {
    call.abort()
    return failure('upstream_redirect', ctx, 'answered with a redirect, which is never followed.')
  }
  if (status >= 400) return readRefusal(ctx, call)
  if (isCompressed(headers)) {
    call.abort()
    return failure('upstream_invalid', ctx, 'sent a compressed answer that was not asked for.')
  }
  if (known(ctx.envelope, 'envelope').stream) {
    const framing = framingOf(options.built.endpoint, headers['content-type'] ?? '')
    if (framing !== 'whole') return readStream(ctx, call, { ...options, framing })
  }
  const body = await collectBody(call, MAX_ANSWER_BYTES)
  const facts = options.built.endpoint.readAnswer(body)
  if (facts === null) return failure('upstream_invalid', ctx, 'sent an answer that is not JSON.')
  if (facts.failed)
    return failure('upstream_failed', ctx, 'answered with an error inside a success.')
  const answer = ctx.translation === null ? body : ctx.translation.answer(body)
  if (answer === null) return failure('upstream_invalid', ctx, 'sent an answer of another shape.')
  keepFacts(ctx, facts)
  return { kind: 'whole', status, headers: headersOf(ctx, headers), body: answer }
}

function keepFacts(ctx: RequestContext, facts: AnswerFacts): void {
  ctx.usage = facts.usage
  ctx.servedModel = facts.servedModel
  ctx.outcome = 'whole'
  if (facts.usage.outputTokens === null) ctx.seenOutput = { frames: 0, text: facts.text() }
}

async function readStream(
  ctx: RequestContext,
  call: UpstreamCall,
  options: AnswerOptions & { readonly framing: ProtocolEndpoint['framing'] | null },
): Promise<Answer | Failure> {
  const { framing } = options
  if (framing === null) {
    call.abort()
    return failure(
      'upstream_invalid',
      ctx,
      'did not answer with the event stream that was asked for.',
    )
  }
  const stream = await openStream(ctx, call, { ...options, framing })
  if (stream instanceof GatewayError) return { error: stream, refused: null }
  return { kind: 'stream', stream }
}

/** A 4xx or 5xx. Passed on byte for byte if nothing better comes, unless it is about our own credential. */
async function readRefusal(ctx: RequestContext, call: UpstreamCall): Promise<Answer | Failure> {
  const { status, headers } = call
  const { provider } = known(ctx.target, 'target')
  const statusClass = classifyFailure(provider, status)
  if (statusClass === 'auth') {
    call.abort()
    return failure('upstream_auth', ctx, `refused the gateway's own credential (${status}).`)
  }
  if (isCompressed(headers)) {
    call.abort()
    return failure('upstream_invalid', ctx, `answered ${status} with a compressed body.`)
  }
  const body = await collectBody(call, MAX_ERROR_BYTES)
  const failureClass =
    statusClass === 'rate_limited' && isQuota(ctx, status, body) ? 'quota' : statusClass
  const answer = tellRefusal(ctx, { status, headers, body })
  const retried = ctx.terms?.policy.retry?.retryOn?.has(status) ?? false
  if (failureClass === 'client' && !retried) {
    ctx.upstreamErrorClass = failureClass
    ctx.outcome = 'refused'
    return answer
  }
  const code = failureClass === 'overloaded' ? 'upstream_overloaded' : 'upstream_failed'
  const { error } = failure(code, ctx, `answered ${status}.`)
  return { error, refused: { answer, target: known(ctx.target, 'target'), failureClass } }
}

/** Some vendors say with the same status that an account is empty, which no wait cures. */
function isQuota(ctx: RequestContext, status: number, body: Buffer): boolean {
  const { dialect } = ctx.translation?.upstreamProtocol ?? ctx.protocol
  return dialect?.readRefusal(status, body).kind === 'quota'
}

/** An upstream's refusal as it came, or in the client's own protocol. */
function tellRefusal(
  ctx: RequestContext,
  refusal: {
    readonly status: number
    readonly headers: IncomingHttpHeaders
    readonly body: Buffer
  },
): Extract<Answer, { kind: 'whole' }> {
  if (ctx.translation === null) return { kind: 'whole', ...refusal }
  const told = ctx.translation.refusal(refusal.status, refusal.body)
  const headers = { ...headersOf(ctx, refusal.headers), ...told.headers }
  return { kind: 'whole', status: told.status, headers, body: Buffer.from(told.body) }
}

/** Of a translated answer only what is not about its body is the upstream's. */
function headersOf(ctx: RequestContext, headers: IncomingHttpHeaders): IncomingHttpHeaders {
  if (ctx.translation === null) return headers
  const kept: IncomingHttpHeaders = { 'content-type': 'application/json' }
  for (const name of RETRY_HEADERS) {
    const value = headers[name]
    if (typeof value === 'string') kept[name] = value
  }
  return kept
}

/** Nobody asked for it, and nothing here would decode it. */
function isCompressed(headers: IncomingHttpHeaders): boolean {
  const encoding = headers['content-encoding']
  return encoding !== undefined && encoding !== '' && encoding !== 'identity'
}

function failure(code: GatewayError['code'], ctx: RequestContext, problem: string): Failure {
  const { provider } = known(ctx.target, 'target')
  return {
    error: new GatewayError(code, `The provider ${provider.name} ${problem}`),
    refused: null,
  }
}
