import type { Sink } from '../contracts/recorder.ts'
import type { UsageRecord } from '../contracts/usage-record.ts'
import type { RootLogger } from './log.ts'

/** One line per request at level info. Costs one comparison when the level is higher. */
export function accessLogSink(logger: RootLogger): Sink {
  return (record) => {
    if (logger.enabled('info')) logger.writeInfo(members(record))
  }
}

/**
 * Written by hand: through the general logger a line costs three times as much. What a client can influence goes through
 * `JSON.stringify`; the rest are numbers, booleans and our own words. bench/ledger.ts
 */
function members(record: UsageRecord): string {
  const { usage } = record
  return `"msg":"request","request_id":${JSON.stringify(record.requestId)},"key_id":${quoted(record.keyId)},\
"endpoint":${JSON.stringify(record.endpoint)},"model":${quoted(record.model)},"target":${quoted(record.target)},\
"attempts":${record.attempts.length},"status":${record.status},"error_class":${quoted(record.errorClass)},\
"stream":${record.stream},"input":${usage.inputTokens},"output":${usage.outputTokens},\
"cost_nanousd":${record.costNanoUsd},"latency_ms":${tenths(record.latencyMs)},"ttft_ms":${tenths(record.ttftMs)}`
}

function quoted(text: string | null): string {
  return text === null ? 'null' : JSON.stringify(text)
}

/** Not finite is null, as in JSON. */
function tenths(valueMs: number | null): number | null {
  return valueMs === null || !Number.isFinite(valueMs) ? null : Math.round(valueMs * 10) / 10
}
