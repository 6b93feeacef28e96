import type { IncomingHttpHeaders } from 'node:http'
import type { Refusal } from '../../contracts/limit.ts'
import { limitHeaders } from '../limits/limit-headers.ts'
import { toldReason } from '../routing/told-decision.ts'
import { publicModel, type RequestContext } from '../pipeline/request-context.ts'

const NOTHING_EXCUSED: readonly Refusal[] = []
/** Fields of an upstream's answer that pass to the client as they came. Its rate limits describe our key, not the caller's. */
const PASSED = new Set([
  'content-type',
  'content-language',
  'retry-after',
  'retry-after-ms',
  'x-should-retry',
])
const PASSED_PREFIXES = ['openai-', 'anthropic-'] as const
const WITHHELD_PREFIXES = [
  'anthropic-ratelimit-',
  'openai-organization',
  'anthropic-organization',
] as const

/** Names and values in turn, for `writeHead`. */
export function answerHeaders(ctx: RequestContext, upstream: IncomingHttpHeaders | null): string[] {
  const headers: string[] = []
  if (upstream !== null) addUpstream(headers, upstream)
  addOwn(headers, ctx)
  addError(headers, ctx)
  addLimits(headers, ctx)
  return headers
}

/** A provider's 429 looks like ours: who refused, and why, as the record says it. */
function addError(headers: string[], { status, error, upstreamErrorClass }: RequestContext): void {
  const errorClass = error?.code ?? upstreamErrorClass
  if (status < 400 || errorClass === null) return
  const source = error === null ? 'provider' : 'gateway'
  headers.push('x-tollgate-error', errorClass, 'x-tollgate-error-source', source)
}

function addUpstream(headers: string[], upstream: IncomingHttpHeaders): void {
  for (const name in upstream) {
    const value = upstream[name]
    if (value === undefined || !isPassed(name)) continue
    if (typeof value === 'string') headers.push(name, value)
    else for (const one of value) headers.push(name, one)
  }
}

function isPassed(name: string): boolean {
  if (PASSED.has(name)) return true
  if (!PASSED_PREFIXES.some((prefix) => name.startsWith(prefix))) return false
  return !WITHHELD_PREFIXES.some((prefix) => name.startsWith(prefix))
}

function addOwn(headers: string[], ctx: RequestContext): void {
  headers.push('x-request-id', ctx.requestId)
  const { requestIdHeader } = ctx.protocol
  if (requestIdHeader !== 'x-request-id') headers.push(requestIdHeader, ctx.requestId)
  headers.push('x-tollgate-attempts', String(ctx.attemptCount), 'x-tollgate-cache', 'BYPASS')
  if (ctx.envelope !== null) headers.push('x-tollgate-model', publicModel(ctx, ctx.target))
  if (ctx.target !== null) headers.push('x-tollgate-provider', ctx.target.provider.name)
  addDecision(headers, ctx)
  if (ctx.ignoredDirectives.length > 0) {
    headers.push('x-tollgate-directives-ignored', ctx.ignoredDirectives.join(', '))
  }
  const losses = lossesOf(ctx)
  if (losses.length > 0) headers.push('x-tollgate-loss', losses.join(', '))
  if (ctx.outputCap !== null) headers.push('x-tollgate-output-cap', String(ctx.outputCap))
  headers.push('server-timing', `gateway;dur=${overheadMs(ctx).toFixed(2)}`)
}

function addDecision(headers: string[], ctx: RequestContext): void {
  const reason = toldReason(ctx)
  if (reason !== null) headers.push('x-tollgate-routing-reason', reason)
  const alias = ctx.decision?.alias ?? null
  if (alias !== null) headers.push('x-tollgate-alias', alias)
}

function lossesOf({ translation, adoptedLosses }: RequestContext): readonly string[] {
  if (translation === null || translation.losses.length === 0) return adoptedLosses
  return adoptedLosses.length === 0 ? translation.losses : [...adoptedLosses, ...translation.losses]
}

function addLimits(headers: string[], ctx: RequestContext): void {
  addWarnings(headers, ctx)
  if (ctx.reservation === null) return
  const { gate, clock } = ctx.dataPlane
  const states = gate.statesOf(ctx.reservation)
  if (states.length === 0) return
  const nowMs = clock.wallMs()
  headers.push(...limitHeaders(states, nowMs), ...ctx.protocol.limitHeaders(states, nowMs))
}

/** Limits that would have refused the request, and say so only. */
function addWarnings(headers: string[], { reservation, attemptReservation }: RequestContext): void {
  const ofRequest = reservation?.excused ?? NOTHING_EXCUSED
  const ofAttempt = attemptReservation?.excused ?? NOTHING_EXCUSED
  if (ofRequest.length + ofAttempt.length === 0) return
  const warning = [...ofRequest, ...ofAttempt].filter(({ limit }) => limit.mode === 'warn')
  if (warning.length === 0) return
  const ids = new Set(warning.map(({ limit }) => limit.id))
  headers.push('x-tollgate-limit-warning', [...ids].join(', '))
}

/** Time that the gateway itself has used so far: everything but the upstream's. */
export function overheadMs(ctx: RequestContext): number {
  return Math.max(0, performance.now() - ctx.receivedAtMs - ctx.upstreamMs)
}
