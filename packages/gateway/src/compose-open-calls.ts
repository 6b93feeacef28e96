import path from 'node:path'
import type { Core } from './compose-core.ts'
import type { DurableCharge } from './contracts/durable-charge.ts'
import type { OpenCall } from './contracts/open-calls.ts'
import { NO_USAGE } from './contracts/usage.ts'
import type { UsageRecord } from './contracts/usage-record.ts'
import type { DataPlane } from './data-plane/pipeline/data-plane.ts'
import { sortableId } from './lib/sortable-id.ts'
import type { RootLogger } from './observe/log.ts'
import {
  JOURNAL_FILE,
  openCallJournal,
  type OpenCallJournal,
} from './storage/open-calls/open-call-journal.ts'

const ASKED_AT_ONCE = 32
/** The client saw no status: its connection ended with the process. */
const STATUS_LOST = 503

export type ComposedOpenCalls = {
  readonly openCalls: DataPlane['openCalls']
  readonly close: () => void
}

/**
 * The journal of open calls, and what the former process left in it: a call without a record is settled at its
 * reservation. Charge and record are one transaction, so a start that is killed too is simply done again.
 */
export async function composeOpenCalls(core: Core, log: RootLogger): Promise<ComposedOpenCalls> {
  const { config } = core.loaded()
  const { ledger } = core
  if (!config.ledger.enabled || ledger.onCommitted === undefined) {
    return { openCalls: null, close: () => {} }
  }
  const journal = openCallJournal({
    path: path.join(config.dir, JOURNAL_FILE),
    sync: config.ledger.durability === 'full',
    onProblem: (problem) => log.error({}, problem),
  })
  ledger.onCommitted((records) => {
    for (const { requestId } of records) journal.done(requestId)
  })
  await settleLeft(core, journal, log)
  return {
    openCalls: { calls: journal, durable: core.durable },
    close: () => journal.close(),
  }
}

async function settleLeft(core: Core, journal: OpenCallJournal, log: RootLogger): Promise<void> {
  const lost: OpenCall[] = []
  for (let i = 0; i < journal.left.length; i += ASKED_AT_ONCE) {
    const asked = journal.left.slice(i, i + ASKED_AT_ONCE)
    const known = await Promise.all(asked.map(({ requestId }) => hasRecord(core, requestId)))
    for (const [index, call] of asked.entries()) {
      if (known[index] === true) journal.done(call.requestId)
      else lost.push(call)
    }
  }
  if (lost.length === 0) return
  const charges = lost.map((call) => chargeLost(core, call, log))
  // Shared counters first: told again by a start that comes after one that was killed here, they count it once.
  if (core.durable.told !== undefined) await core.durable.told()
  // Else in one turn of the event loop: records and counters are one transaction.
  const written = await Promise.allSettled(
    lost.map(async (call, index) => {
      const charged = charges[index] ?? null
      if (charged !== null) await core.ledger.append(lostRecord(core, call, charged))
    }),
  )
  const late = written.filter(({ status }) => status === 'rejected').length
  log.warn(
    { calls: lost.length, not_yet_written: late },
    'calls that the former process left open are settled at what they had reserved',
  )
}

async function hasRecord({ store }: Core, requestId: string): Promise<boolean> {
  const { items } = await store.records.list({ requestId }, { limit: 1, cursor: null })
  return items.length > 0
}

/** Null: it cannot be charged, and stays in the journal. */
function chargeLost(
  { durable }: Core,
  { requestId, charges }: OpenCall,
  log: RootLogger,
): readonly DurableCharge[] | null {
  try {
    return durable.charge(charges)
  } catch (err) {
    log.error({ err, request_id: requestId }, 'a call in the journal cannot be settled')
    return null
  }
}

/** `estimated`: nobody knows what the provider did with it. */
function lostRecord(core: Core, call: OpenCall, charges: readonly DurableCharge[]): UsageRecord {
  const { requestId, startedAtMs, keyId, provider, target } = call
  const key = core.keyRing.list().find(({ id }) => id === keyId)
  const errorClass = 'gateway_restarted'
  const { team = null, rolegroup = null, role = null, user = null } = key?.subject ?? {}
  return {
    id: sortableId('rec_', startedAtMs),
    requestId,
    upstreamRequestId: null,
    startedAtMs,
    keyId,
    keyName: key?.name ?? null,
    team,
    rolegroup,
    role,
    user,
    endpoint: call.endpoint,
    protocol: call.protocol,
    requestedModel: call.requestedModel,
    model: call.model,
    servedModel: null,
    provider,
    target,
    attempts: [{ target, status: null, errorClass, durationMs: 0 }],
    status: STATUS_LOST,
    errorSource: 'gateway',
    errorClass,
    stream: call.stream,
    complete: false,
    usage: { ...NO_USAGE, inputTokens: call.inputTokens, outputTokens: call.outputTokens },
    estimated: true,
    costNanoUsd: call.costNanoUsd,
    savedNanoUsd: 0,
    latencyMs: 0,
    ttftMs: null,
    overheadMs: 0,
    cache: null,
    limits: call.charges.map(({ id }) => id),
    charges,
    project: null,
    userAgent: null,
    sessionId: null,
    clientIp: null,
    metadata: key?.metadata ?? {},
  }
}
