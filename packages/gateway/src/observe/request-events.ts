import type { EventBus } from '../contracts/event.ts'
import type { Sink } from '../contracts/recorder.ts'

/** Emits `request.completed` or `request.failed` for each record. No content, no address, no user agent. */
export function requestEventSink(bus: EventBus): Sink {
  return (record) => {
    bus.emit(record.errorClass === null ? 'request.completed' : 'request.failed', {
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
    })
  }
}
