import type { LedgerSummary, RecordFilter, SummaryRow, UsageSum } from '../contracts/store.ts'
import type { Usage } from '../contracts/usage.ts'
import type { AskedRecord, UsageRecord } from '../contracts/usage-record.ts'
import { parseDurationMs, parseTimestampMs } from '../lib/duration.ts'
import type {
  UsageFilter,
  UsageRecordView,
  UsageRowView,
  UsageSummary,
  UsageSumView,
  UsageTokens,
} from './admin-api.ts'
import { AdminError } from './admin-error.ts'
import { decisionView } from './decision-view.ts'
import { timeText } from './written-times.ts'

/** One line of the ledger as the admin API and the exports show it. */
export function usageRecordView(record: UsageRecord): UsageRecordView {
  return {
    id: record.id,
    request_id: record.requestId,
    upstream_request_id: record.upstreamRequestId,
    started_at: timeText(record.startedAtMs),
    key_id: record.keyId,
    key_name: record.keyName,
    team: record.team,
    rolegroup: record.rolegroup,
    role: record.role,
    user: record.user,
    endpoint: record.endpoint,
    protocol: record.protocol,
    requested_model: record.requestedModel,
    model: record.model,
    served_model: record.servedModel,
    provider: record.provider,
    target: record.target,
    attempts: record.attempts.map(({ target, status, errorClass, durationMs }) => ({
      target,
      status,
      error_class: errorClass,
      duration_ms: durationMs,
    })),
    status: record.status,
    error_source: record.errorSource,
    error_class: record.errorClass,
    stream: record.stream,
    complete: record.complete,
    usage: usageTokens(record.usage),
    estimated: record.estimated,
    cost_nanousd: record.costNanoUsd,
    saved_nanousd: record.savedNanoUsd,
    latency_ms: record.latencyMs,
    ttft_ms: record.ttftMs,
    overhead_ms: record.overheadMs,
    cache: record.cache,
    limits: record.limits,
    asked: askedView(record.asked ?? null),
    project: record.project,
    user_agent: record.userAgent,
    session_id: record.sessionId,
    client_ip: record.clientIp,
    metadata: record.metadata,
    translation: record.translation ?? null,
    routing:
      record.routing === undefined || record.routing === null ? null : decisionView(record.routing),
  }
}

function askedView(asked: AskedRecord | null): UsageRecordView['asked'] {
  if (asked === null) return null
  return { input_tokens: asked.inputTokens, max_output_tokens: asked.maxOutputTokens }
}

export function usageSummaryView(summary: LedgerSummary): UsageSummary {
  return {
    since: timeText(summary.sinceMs),
    until: timeText(summary.untilMs),
    requests: summary.requests,
    errors: summary.errors,
    usage: usageSum(summary.usage),
    cost_nanousd: summary.costNanoUsd,
    saved_nanousd: summary.savedNanoUsd,
    by_model: summary.byModel.map(usageRow),
    by_key: summary.byKey.map(usageRow),
    by_provider: summary.byProvider.map(usageRow),
  }
}

/** The query's names and texts as the store's filter. Throws `AdminError`. */
export function recordFilter(query: UsageFilter, nowMs: number): RecordFilter {
  return {
    ...(query.key === undefined ? {} : { keyId: query.key }),
    ...(query.model === undefined ? {} : { model: query.model }),
    ...(query.provider === undefined ? {} : { provider: query.provider }),
    ...(query.project === undefined ? {} : { project: query.project }),
    ...(query.status === undefined ? {} : { status: query.status }),
    ...(query.request_id === undefined ? {} : { requestId: query.request_id }),
    ...(query.since === undefined ? {} : { sinceMs: moment('since', query.since, nowMs) }),
    ...(query.until === undefined ? {} : { untilMs: moment('until', query.until, nowMs) }),
  }
}

/** RFC 3339, or a duration: that long ago. */
function moment(path: string, text: string, nowMs: number): number {
  try {
    return /^\d+[a-z]+$/.test(text) ? nowMs - parseDurationMs(text) : parseTimestampMs(text)
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new AdminError('invalid_request', `${path}: ${message}`, { path })
  }
}

function usageTokens(usage: Usage): UsageTokens {
  return {
    input: usage.inputTokens,
    output: usage.outputTokens,
    cache_read: usage.cacheReadTokens,
    cache_write_5m: usage.cacheWrite5mTokens,
    cache_write_1h: usage.cacheWrite1hTokens,
    reasoning: usage.reasoningTokens,
    audio_input: usage.audioInputTokens,
    audio_output: usage.audioOutputTokens,
    server_tool_calls: usage.serverToolCalls,
  }
}

function usageSum(sum: UsageSum): UsageSumView {
  return {
    input: sum.input,
    output: sum.output,
    cache_read: sum.cacheRead,
    cache_write_5m: sum.cacheWrite5m,
    cache_write_1h: sum.cacheWrite1h,
    reasoning: sum.reasoning,
  }
}

function usageRow(row: SummaryRow): UsageRowView {
  return {
    name: row.name,
    requests: row.requests,
    errors: row.errors,
    usage: usageSum(row.usage),
    cost_nanousd: row.costNanoUsd,
  }
}
