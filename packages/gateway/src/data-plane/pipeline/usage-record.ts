import type {
  AskedRecord,
  AttemptRecord,
  TranslationRecord,
  UsageRecord,
} from '../../contracts/usage-record.ts'
import { sortableId } from '../../lib/sortable-id.ts'
import { overheadMs } from '../http/answer-headers.ts'
import { headField } from '../http/request-head.ts'
import { sessionOf } from '../http/session-of.ts'
import { toldDecision } from '../routing/told-decision.ts'
import { publicModel, type RequestContext, roundMs } from './request-context.ts'

const MAX_TEXT_CHARS = 256
const PROJECT_HEADERS = ['x-tollgate-project', 'x-tokenman-project'] as const
const CLIENT_CLOSED_STATUS = 499

/** The line of the ledger for a request that has ended. */
export function usageRecord(ctx: RequestContext): UsageRecord {
  const nowMs = performance.now()
  const caller = callerOf(ctx)
  const models = modelsOf(ctx)
  return {
    id: sortableId('rec_', ctx.startedAtMs),
    requestId: ctx.requestId,
    upstreamRequestId: ctx.upstreamRequestId,
    startedAtMs: ctx.startedAtMs,
    keyId: caller.keyId,
    keyName: caller.keyName,
    team: caller.team,
    rolegroup: caller.rolegroup,
    role: caller.role,
    user: caller.user,
    metadata: caller.metadata,
    endpoint: ctx.endpoint.endpoint,
    protocol: ctx.protocol.id,
    requestedModel: models.requestedModel,
    model: models.model,
    servedModel: models.servedModel,
    provider: models.provider,
    target: models.target,
    attempts: rewarded(attemptsOf(ctx, nowMs), ctx.rewards),
    status: ctx.status === 0 ? CLIENT_CLOSED_STATUS : ctx.status,
    errorSource: errorSource(ctx),
    errorClass: errorClass(ctx),
    stream: (ctx.replayOf ?? ctx.envelope)?.stream ?? false,
    complete: (ctx.outcome === 'whole' || ctx.outcome === 'replayed') && !ctx.clientGone,
    usage: ctx.usage,
    estimated: ctx.estimated,
    costNanoUsd: ctx.costNanoUsd,
    savedNanoUsd: 0,
    latencyMs: roundMs(nowMs - ctx.receivedAtMs),
    ttftMs: ctx.firstByteAtMs === null ? null : roundMs(ctx.firstByteAtMs - ctx.receivedAtMs),
    overheadMs: roundMs(ctx.overheadMs ?? overheadMs(ctx)),
    cache: ctx.replayOf === null ? null : 'idempotent',
    limits: ctx.limitIds,
    charges: ctx.charges,
    asked: askedOf(ctx),
    project: clientText(ctx, PROJECT_HEADERS),
    userAgent: clientText(ctx, ['user-agent']),
    sessionId: sessionOf(ctx.head),
    clientIp: ctx.clientIp,
    translation: translationOf(ctx),
    routing: toldDecision(ctx),
  }
}

function askedOf({ envelope, demand }: RequestContext): AskedRecord | null {
  if (envelope === null) return null
  const { maxOutputTokens, choices } = envelope
  const inputTokens = demand === null || demand.inputTokens === 0 ? null : demand.inputTokens
  return {
    inputTokens,
    maxOutputTokens: maxOutputTokens === null ? null : maxOutputTokens * choices,
  }
}

function translationOf({ translation }: RequestContext): TranslationRecord | null {
  if (translation === null) return null
  return { protocol: translation.upstreamProtocol.id, losses: translation.losses }
}

type Caller = Pick<
  UsageRecord,
  'keyId' | 'keyName' | 'team' | 'rolegroup' | 'role' | 'user' | 'metadata'
>

const NOBODY: Caller = {
  keyId: null,
  keyName: null,
  team: null,
  rolegroup: null,
  role: null,
  user: null,
  metadata: {},
}

function callerOf({ key }: RequestContext): Caller {
  if (key === null) return NOBODY
  const { id, name, subject, metadata } = key.record
  const { team, rolegroup, role, user } = subject
  return { keyId: id, keyName: name, team, rolegroup, role, user, metadata }
}

type Models = Pick<UsageRecord, 'requestedModel' | 'model' | 'servedModel' | 'provider' | 'target'>

export function modelsOf(ctx: RequestContext): Models {
  const { envelope, target, servedModel, replayOf } = ctx
  if (replayOf !== null) {
    const { requestedModel, model, servedModel: served, provider, target: id } = replayOf
    return { requestedModel, model, servedModel: served, provider, target: id }
  }
  const requestedModel = envelope?.model ?? null
  if (target === null) {
    return { requestedModel, model: null, servedModel, provider: null, target: null }
  }
  const provider = target.provider.name
  const model = publicModel(ctx, target)
  return { requestedModel, model, servedModel, provider, target: target.id }
}

/** A stream's attempt lasts to the stream's end, which is not known when it is noted. */
function attemptsOf(ctx: RequestContext, nowMs: number): readonly AttemptRecord[] {
  const last = ctx.attempts.at(-1)
  if (last === undefined || ctx.relay === null) return ctx.attempts
  const cutClass = ctx.outcome === 'cut' ? errorClass(ctx) : last.errorClass
  const durationMs = roundMs(nowMs - ctx.attemptStartedMs)
  return [...ctx.attempts.slice(0, -1), { ...last, durationMs, errorClass: cutClass }]
}

function rewarded(
  attempts: readonly AttemptRecord[],
  rewards: RequestContext['rewards'],
): readonly AttemptRecord[] {
  if (rewards === null) return attempts
  return attempts.map((attempt, index) => {
    const reward = rewards[index] ?? null
    return reward === null ? attempt : Object.assign({}, attempt, { reward })
  })
}

function errorSource(ctx: RequestContext): string | null {
  if (ctx.upstreamErrorClass !== null && ctx.error === null) return 'provider'
  return ctx.error === null ? null : 'gateway'
}

function errorClass(ctx: RequestContext): string | null {
  if (ctx.clientGone) return 'cancelled'
  return ctx.error?.code ?? (ctx.outcome === 'refused' ? ctx.upstreamErrorClass : null)
}

function clientText(ctx: RequestContext, names: readonly string[]): string | null {
  for (const name of names) {
    const value = headField(ctx.head, name)
    if (value !== null && value !== '') return value.slice(0, MAX_TEXT_CHARS)
  }
  return null
}
