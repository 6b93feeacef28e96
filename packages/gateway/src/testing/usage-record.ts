import { NO_USAGE } from '../contracts/usage.ts'
import type { UsageRecord } from '../contracts/usage-record.ts'
import { sortableId } from '../lib/sortable-id.ts'

/** A plausible record of a call that succeeded. */
export function usageRecord(overrides: Partial<UsageRecord> = {}): UsageRecord {
  const startedAtMs = overrides.startedAtMs ?? 1_750_000_000_000
  const id = overrides.id ?? sortableId('rec_', startedAtMs)
  return {
    id,
    requestId: id.replace('rec_', 'req_'),
    upstreamRequestId: 'chatcmpl-1',
    startedAtMs,
    keyId: 'key_a',
    keyName: 'laptop',
    team: 'research',
    rolegroup: null,
    role: null,
    user: 'ada',
    endpoint: 'chat',
    protocol: 'openai-chat',
    requestedModel: 'gpt-4o-mini',
    model: 'gpt-4o-mini',
    servedModel: 'gpt-4o-mini-2024-07-18',
    provider: 'openai',
    target: 'openai/gpt-4o-mini',
    attempts: [{ target: 'openai/gpt-4o-mini', status: 200, errorClass: null, durationMs: 410.5 }],
    status: 200,
    errorSource: null,
    errorClass: null,
    stream: false,
    complete: true,
    usage: { ...NO_USAGE, inputTokens: 100, outputTokens: 20, cacheReadTokens: 0 },
    estimated: false,
    costNanoUsd: 27_000,
    savedNanoUsd: 0,
    latencyMs: 420.25,
    ttftMs: null,
    overheadMs: 0.8,
    cache: null,
    limits: ['team-day'],
    project: null,
    userAgent: 'openai/5.0',
    sessionId: null,
    clientIp: '127.0.0.1',
    metadata: {},
    ...overrides,
  }
}
