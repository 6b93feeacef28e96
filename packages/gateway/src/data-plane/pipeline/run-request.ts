import { GatewayError, toGatewayError } from '../../errors/gateway-error.ts'
import { answerHeaders, overheadMs } from '../http/answer-headers.ts'
import type { ClientAnswer } from '../http/client-answer.ts'
import { cutWhenStalled, send } from '../http/send.ts'
import { remainingOf } from '../../lib/tightest-limit.ts'
import { admit } from '../stages/admit.ts'
import { readHints } from '../stages/read-hints.ts'
import { resolveRoute } from '../stages/resolve-route.ts'
import { addSpares } from '../routing/spare-targets.ts'
import { toldReason } from '../routing/told-decision.ts'
import { refuseLosses } from '../translation/translate-request.ts'
import { estimateInput } from '../usage/count-input.ts'
import type { StreamEnd } from '../stream/relay-stream.ts'
import type { Answer } from './attempt-results.ts'
import { endAttempt, failureOf } from './attempt-tickets.ts'
import type { OpenStream } from './open-stream.ts'
import { readEnvelope } from './read-envelope.ts'
import type { RequestContext } from './request-context.ts'
import { runAttempts } from './run-attempts.ts'
import { settle } from './settle.ts'
import { hadBegun } from './spent-attempts.ts'

/** The order is one of the product's promises: who asks, for what, may it, then send. `ctx` is authenticated. */
export async function runRequest(ctx: RequestContext, response: ClientAnswer): Promise<void> {
  try {
    ctx.envelope = readEnvelope(ctx)
    readHints(ctx)
    const resolved = resolveRoute(ctx)
    if (resolved instanceof Promise) await resolved
    if (ctx.terms !== null && ctx.terms.policy.rescue !== null) addSpares(ctx)
    if (ctx.adoptedLosses.length > 0) refuseLosses(ctx, ctx.adoptedLosses)
    const admitted = admit(ctx)
    if (admitted instanceof Promise) await admitted
    if (ctx.countsHere) return await answerCount(ctx, response)
    const answer = await runAttempts(ctx, response)
    if (answer.kind === 'stream') await finishStream(ctx, answer.stream)
    else await finishWhole(ctx, answer, response)
  } catch (thrown) {
    await refuseRequest(ctx, response, thrown)
  }
}

/** The gateway's own count, said to be one. */
async function answerCount(ctx: RequestContext, response: ClientAnswer): Promise<void> {
  const { renderCount } = ctx.endpoint
  if (renderCount === undefined) throw new TypeError('an endpoint that does not count')
  const body = Buffer.from(renderCount(await estimateInput(ctx)))
  ctx.status = 200
  ctx.outcome = 'whole'
  await settle(ctx)
  const headers = answerHeaders(ctx, null)
  headers.push('content-type', 'application/json', 'x-tollgate-estimate', 'true')
  send(response, ctx.status, headers, body)
}

async function finishWhole(
  ctx: RequestContext,
  answer: Extract<Answer, { kind: 'whole' }>,
  response: ClientAnswer,
): Promise<void> {
  ctx.status = answer.status
  await settle(ctx)
  const body = answer.status < 300 ? wrapped(ctx, answer.body) : answer.body
  send(response, answer.status, answerHeaders(ctx, answer.headers), body)
  cutWhenStalled(response, ctx.dataPlane.watchdog.silence.stalledReaderMs)
}

function wrapped(ctx: RequestContext, body: Buffer): Buffer {
  const { opened, target, costNanoUsd } = ctx
  if (opened === null || target === null) return body
  const { model, weight } = target
  return opened.close(body, { model, weight, costNanoUsd, reason: toldReason(ctx) ?? 'model' })
}

async function finishStream(ctx: RequestContext, stream: OpenStream): Promise<void> {
  ctx.overheadMs = overheadMs(ctx)
  const end = await stream.ended
  endAttempt(ctx, streamFailure(ctx, end))
  ctx.outcome = end === null ? 'whole' : 'cut'
  ctx.error = stream.relay.stoppedAtLength ? lengthError(ctx) : end
  ctx.usage = stream.tap.usage()
  ctx.servedModel = stream.tap.servedModel()
  if (ctx.usage.outputTokens === null) {
    ctx.seenOutput = { frames: stream.tap.outputFrames(), text: stream.tap.outputText() }
  }
  try {
    await settle(ctx)
    const isTold = end === null || stream.tap.failed()
    const stop = stream.relay.stoppedAtLength ? stream.relay.lengthStop(ctx.usage) : null
    stream.relay.finish(stop ?? (isTold ? null : errorFrame(ctx, end)), ctx.usage)
  } catch (thrown) {
    ctx.outcome = 'cut'
    stream.relay.finish(errorFrame(ctx, toGatewayError(thrown)), ctx.usage)
  }
}

function streamFailure(ctx: RequestContext, end: StreamEnd): ReturnType<typeof failureOf> | null {
  if (end === null) return null
  return ctx.clientGone ? 'cancelled' : failureOf(end)
}

/** Which limit ended the answer, for the record and the events. The client's answer only ends at its length. */
function lengthError(ctx: RequestContext): GatewayError {
  const { gate } = ctx.dataPlane
  const states = [ctx.reservation, ctx.attemptReservation].flatMap((one) =>
    one === null ? [] : gate.statesOf(one),
  )
  const leased = states.filter(({ limit }) => limit.reserve === 'lease')
  const [tightest] = leased.toSorted((one, other) => remainingOf(one) - remainingOf(other))
  if (tightest === undefined) return new GatewayError('budget_exceeded', NO_MORE_OUTPUT)
  const { limit } = tightest
  const budget = limit.unit === 'usd' || limit.algorithm.kind === 'lifetime'
  const { requestId, key } = ctx
  ctx.dataPlane.onRefusal({
    requestId,
    keyId: key?.record.id ?? '',
    limitId: limit.id,
    budget,
    mode: 'enforce',
  })
  return new GatewayError(budget ? 'budget_exceeded' : 'rate_limit_exceeded', NO_MORE_OUTPUT)
}

const NO_MORE_OUTPUT = 'The answer was ended at its length: a limit had no more output for it.'

function errorFrame(ctx: RequestContext, error: GatewayError): string {
  return ctx.protocol.renderStreamError(error, ctx.requestId)
}

/** The client left a call under way, or the provider began an answer that did not come whole: at least the input was read. */
function mayBeBilled(ctx: RequestContext, error: GatewayError): boolean {
  return ctx.call !== null && (ctx.clientGone || hadBegun(ctx, error.code))
}

/** Answers a refusal in the client's own protocol, after it is recorded. */
export async function refuseRequest(
  ctx: RequestContext,
  response: ClientAnswer,
  thrown: unknown,
): Promise<void> {
  const error = toGatewayError(thrown)
  if (error.code === 'internal') ctx.dataPlane.onError(thrown, ctx.requestId)
  ctx.error = error
  ctx.outcome = mayBeBilled(ctx, error) ? 'cut' : 'refused'
  const rendered = ctx.protocol.renderError(error, ctx.requestId)
  ctx.status = ctx.clientGone ? 0 : rendered.status
  try {
    await settle(ctx)
  } catch (failed) {
    if (error.code !== 'ledger_unavailable') ctx.dataPlane.onError(failed, ctx.requestId)
  }
  if (response.destroyed) return
  if (response.headersSent) return void (response.writableEnded || response.destroy())
  const headers = answerHeaders(ctx, null)
  headers.push('content-type', 'application/json')
  for (const name in rendered.headers) {
    if (!headers.includes(name)) headers.push(name, rendered.headers[name] ?? '')
  }
  send(response, rendered.status, headers, Buffer.from(rendered.body))
}
