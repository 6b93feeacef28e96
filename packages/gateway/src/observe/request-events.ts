import type { EventBus, EventType } from '../contracts/event.ts'
import type { Sink } from '../contracts/recorder.ts'
import type { UnreadRecord } from '../contracts/unread-record.ts'
import type { UsageRecord } from '../contracts/usage-record.ts'

/** Emits `request.completed` or `request.failed` for each record. No content, no address, no user agent. */
export function requestEventSink(bus: EventBus): Sink {
  return (record) => bus.emit(typeOf(record.errorClass !== null), dataOf(record))
}

/** The same for a record that is read when somebody listens. */
export function emitUnreadRecord(bus: EventBus, record: UnreadRecord): void {
  bus.emitUnread(typeOf(record.hasFailed), () => dataOf(record.read()))
}

function typeOf(hasFailed: boolean): EventType {
  return hasFailed ? 'request.failed' : 'request.completed'
}

function dataOf(record: UsageRecord): Readonly<Record<string, unknown>> {
  return {
    id: record.id,
    request_id: record.requestId,
    key_id: record.keyId,
    key_name: record.keyName,
    team: record.team,
    user: record.user,
    project: record.project,
    endpoint: record.endpoint,
    model: record.model,
    provider: record.provider,
    target: record.target,
    attempts: record.attempts.length,
    status: record.status,
    error_class: record.errorClass,
    stream: record.stream,
    complete: record.complete,
    input_tokens: record.usage.inputTokens,
    output_tokens: record.usage.outputTokens,
    cost_nanousd: record.costNanoUsd,
    latency_ms: record.latencyMs,
    ttft_ms: record.ttftMs,
  }
}
