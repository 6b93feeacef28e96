import type { IncomingHttpHeaders } from 'node:http'
import type { AnswerFacts, ProtocolEndpoint } from '../../contracts/protocol.ts'
import { GatewayError, toGatewayError } from '../../errors/gateway-error.ts'
import type { TargetPlan } from '../../plan/gateway-plan.ts'
import type { ClientAnswer } from '../http/client-answer.ts'
import { classifyFailure } from '../routing/classify-failure.ts'
import { statedRates } from '../routing/stated-rates.ts'
import { framingOf } from '../stream/answer-framing.ts'
import { withAccessToken } from '../upstream/access-tokens.ts'
import { type BuiltRequest, buildRequest } from '../upstream/build-request.ts'
import { collectBody, UpstreamCall } from '../upstream/upstream-call.ts'
import {
  type Answer,
  type Failure,
  headersOf,
  isCompressed,
  providerFailure,
} from './attempt-results.ts'
import { endAttempt, failureOf, noteAnswered } from './attempt-tickets.ts'
import { checkClient } from './client-left.ts'
import { noteOpenCall, sendingNote } from './note-open-call.ts'
import { openStream } from './open-stream.ts'
import { readRefusal, readWords } from './read-refusal.ts'
import { known, type RequestContext, roundMs } from './request-context.ts'
import { turnEnd } from './turn-end.ts'

/** The largest answer that is not streamed. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024
const SERVER_ERROR = 500

export type CallOptions = {
  readonly response: ClientAnswer
  /** When the request must be over. Monotonic. */
  readonly deadlineMs: number
}

/** One call of one target, whose attempt has begun. Ends it, unless its stream goes on. Never rejects. */
export async function callTarget(
  ctx: RequestContext,
  target: TargetPlan,
  options: CallOptions,
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
    const call = new UpstreamCall(target.provider, request, ctx.dataPlane, sendingNote(ctx))
    call.deadlineMs = options.deadlineMs
    ctx.call = call
    await call.head
    noteHead(ctx, call)
    const result = await readAnswer(ctx, call, { ...options, built })
    noteAttempt(ctx, 'error' in result ? errorClassOf(result) : null)
    endOf(ctx, result)
    return result
  } catch (thrown) {
    const error = toGatewayError(thrown)
    const failureClass = ctx.clientGone ? 'cancelled' : failureOf(error)
    if (error.code === 'internal') ctx.dataPlane.onError(thrown, ctx.requestId)
    noteAttempt(ctx, ctx.clientGone ? 'cancelled' : error.code)
    endAttempt(ctx, failureClass)
    return { error, refused: null, failureClass, waitMs: null }
  }
}

/** A stream's attempt ends with the stream. */
function endOf(ctx: RequestContext, result: Answer | Failure): void {
  if ('error' in result) endAttempt(ctx, ctx.clientGone ? 'cancelled' : result.failureClass, result)
  else if (result.kind === 'whole') endAttempt(ctx, null)
}

function errorClassOf({ error, refused }: Failure): string {
  return refused?.failureClass ?? error.code
}

function noteHead(ctx: RequestContext, call: UpstreamCall): void {
  const { headers, status } = call
  const id = headers['x-request-id'] ?? headers['request-id']
  ctx.upstreamRequestId = typeof id === 'string' ? id.slice(0, 256) : null
  noteRates(ctx, headers)
  if (status < 300 && ctx.envelope?.stream !== true) noteAnswered(ctx)
}

function noteRates(ctx: RequestContext, headers: IncomingHttpHeaders): void {
  const { ticket, dataPlane, plan } = ctx
  if (ticket === null || !plan.health.obeyRates) return
  const protocol = ctx.translation?.upstreamProtocol ?? ctx.protocol
  const rates = statedRates(protocol, headers, Date.now())
  if (rates !== null) dataPlane.targets?.noteRates(ticket, rates, performance.now())
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

type AnswerOptions = CallOptions & { readonly built: BuiltRequest }

async function readAnswer(
  ctx: RequestContext,
  call: UpstreamCall,
  options: AnswerOptions,
): Promise<Answer | Failure> {
  const { status, headers } = call
  if (status >= 300 && status < 400) {
    call.abort()
    const problem = 'answered with a redirect, which is never followed.'
    return providerFailure('upstream_redirect', ctx, problem)
  }
  if (status >= 400) return readRefusal(ctx, call)
  if (isCompressed(headers)) {
    call.abort()
    const problem = 'sent a compressed answer that was not asked for.'
    return providerFailure('upstream_invalid', ctx, problem)
  }
  if (known(ctx.envelope, 'envelope').stream) {
    const framing = framingOf(options.built.endpoint, headers['content-type'] ?? '')
    if (framing !== 'whole') return readStream(ctx, call, { ...options, framing })
  }
  return readWhole(ctx, call, options)
}

async function readWhole(
  ctx: RequestContext,
  call: UpstreamCall,
  { built }: AnswerOptions,
): Promise<Answer | Failure> {
  const body = await collectBody(call, MAX_ANSWER_BYTES)
  const others = turnEnd(ctx.dataPlane.load)
  if (others !== null) await others
  const facts = built.endpoint.readAnswer(body)
  if (facts === null) {
    return providerFailure('upstream_invalid', ctx, 'sent an answer that is not JSON.')
  }
  if (facts.failed) return failedInside(ctx, body)
  const answer = ctx.translation === null ? body : ctx.translation.answer(body)
  if (answer === null) {
    return providerFailure('upstream_invalid', ctx, 'sent an answer of another shape.')
  }
  keepFacts(ctx, facts)
  const headers = headersOf(ctx, call.headers)
  return { kind: 'whole', status: call.status, headers, body: answer }
}

/** Some say with 200 what others say with a status of its own. */
function failedInside(ctx: RequestContext, body: Buffer): Failure {
  const failed = providerFailure('upstream_failed', ctx, 'answered with an error inside a success.')
  const refusal = readWords(ctx, SERVER_ERROR, body)
  if (refusal === null) return failed
  const { provider } = known(ctx.target, 'target')
  const failureClass = classifyFailure(provider, refusal.status, refusal)
  return { ...failed, failureClass, waitMs: refusal.retryAfterMs ?? null }
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
    const problem = 'did not answer with the event stream that was asked for.'
    return providerFailure('upstream_invalid', ctx, problem)
  }
  const stream = await openStream(ctx, call, { ...options, framing })
  if (!(stream instanceof GatewayError)) return { kind: 'stream', stream }
  return { error: stream, refused: null, failureClass: failureOf(stream), waitMs: null }
}
