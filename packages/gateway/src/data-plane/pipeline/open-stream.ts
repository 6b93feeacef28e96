import type { Reservation } from '../../contracts/limit.ts'
import type { ProtocolEndpoint, StreamTap } from '../../contracts/protocol.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { answerHeaders } from '../http/answer-headers.ts'
import type { ClientAnswer } from '../http/client-answer.ts'
import { OutputLease } from '../stream/output-lease.ts'
import { type StreamEnd, StreamRelay } from '../stream/relay-stream.ts'
import type { BuiltRequest } from '../upstream/build-request.ts'
import type { UpstreamCall } from '../upstream/upstream-call.ts'
import { noteAnswered } from './attempt-tickets.ts'
import { noteExtended } from './note-open-call.ts'
import type { RequestContext } from './request-context.ts'

/** A stream whose first event has reached the client. `ended` says how the upstream finished. */
export type OpenStream = {
  readonly relay: StreamRelay
  readonly tap: StreamTap
  readonly ended: Promise<StreamEnd>
}

const TRANSLATED_HEAD = { 'content-type': 'text/event-stream; charset=utf-8' } as const
const STREAM_HEADERS = [
  'cache-control',
  'no-cache, no-transform',
  'x-accel-buffering',
  'no',
] as const

/** Waits for the first event. A failure before it is returned, so that another target may be tried with the status still open. */
export async function openStream(
  ctx: RequestContext,
  call: UpstreamCall,
  options: {
    readonly response: ClientAnswer
    readonly built: BuiltRequest
    readonly framing: ProtocolEndpoint['framing']
  },
): Promise<OpenStream | GatewayError> {
  const { response, built, framing } = options
  const tap = built.endpoint.startTap({
    dropUsage: built.usageAsked,
    choices: ctx.envelope?.choices ?? 1,
    framing,
  })
  const translated = built.translation?.stream() ?? null
  const first = Promise.withResolvers<GatewayError | null>()
  const ended = Promise.withResolvers<StreamEnd>()
  const relay = new StreamRelay({
    response,
    call,
    tap,
    translated,
    framing,
    watchdog: ctx.dataPlane.watchdog,
    lease: leaseOf(ctx, translated !== null),
    keepAliveFrame: ctx.protocol.keepAliveFrame,
    onStart: () => {
      ctx.claim?.()
      ctx.upstreamMs += performance.now() - ctx.attemptStartedMs
      ctx.status = call.status
      const upstream = translated === null ? call.headers : TRANSLATED_HEAD
      response.writeHead(call.status, [...answerHeaders(ctx, upstream), ...STREAM_HEADERS])
      first.resolve(null)
    },
    onFirstEvent: () => {
      ctx.firstByteAtMs = performance.now()
      noteAnswered(ctx)
    },
    onEnd: (end) => {
      first.resolve(end)
      ended.resolve(end)
    },
  })
  ctx.relay = relay
  // It left while the head was waited for, and the answer is read on all the same.
  if (ctx.clientGone && ctx.audience === null) relay.discard()
  call.read(relay)
  const failed = await first.promise
  if (failed !== null || !relay.started) {
    ctx.relay = null
    return failed ?? new GatewayError('upstream_truncated', 'The provider sent an empty stream.')
  }
  return { relay, tap, ended: ended.promise }
}

/** Null for most streams: their limits hold all that they may write. */
function leaseOf(ctx: RequestContext, isTranslated: boolean): OutputLease | null {
  const reservations = [ctx.reservation, ctx.attemptReservation].filter(isLeased)
  if (reservations.length === 0) return null
  const { choices = 1, streamUsage = false } = ctx.envelope ?? {}
  const lengthStop = isTranslated
    ? null
    : (ctx.endpoint.startLengthStop?.({ choices, streamUsage }) ?? null)
  return new OutputLease({
    gate: ctx.dataPlane.gate,
    reservations,
    lengthStop,
    onExtended: () => noteExtended(ctx),
  })
}

function isLeased(reservation: Reservation | null): reservation is Reservation {
  const held = reservation?.heldTokens
  return reservation !== null && held !== undefined && held < reservation.outputTokens
}
