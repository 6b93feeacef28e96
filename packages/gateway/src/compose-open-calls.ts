import { readdirSync } from 'node:fs'
import path from 'node:path'
import type { Core } from './compose-core.ts'
import type { DurableCharge } from './contracts/durable-charge.ts'
import type { Recorder } from './contracts/recorder.ts'
import type { LeftCall } from './contracts/open-calls.ts'
import { NO_USAGE } from './contracts/usage.ts'
import type { UsageRecord } from './contracts/usage-record.ts'
import type { DataPlane } from './data-plane/pipeline/data-plane.ts'
import { nameIn } from './data-plane/limits/shared/open-charges.ts'
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
const WORKER_JOURNAL = /^open-calls\.worker-\d+\.journal$/

export type ComposedOpenCalls = {
  readonly openCalls: DataPlane['openCalls']
  readonly close: () => void
}

/** The journal of one worker, in the data directory. */
export function workerJournal(slot: number): string {
  return `open-calls.worker-${slot}.journal`
}

/**
 * The journal of open calls, and what the former process and its workers left in theirs: a call without a record is
 * settled at its reservation, or at nothing if it was never sent. Charge and record are one transaction, so a start that
 * is killed too is simply done again.
 */
export async function composeOpenCalls(core: Core, log: RootLogger): Promise<ComposedOpenCalls> {
  const { config } = core.loaded()
  const { ledger } = core
  if (!config.ledger.enabled || ledger.onCommitted === undefined) {
    return { openCalls: null, close: () => {} }
  }
  const journal = openJournal(core, log, JOURNAL_FILE)
  ledger.onCommitted((records) => {
    for (const { requestId } of records) journal.done(requestId)
  })
  const names = readdirSync(config.dir).filter((name) => WORKER_JOURNAL.test(name))
  const ofWorkers = names.map((name) => openJournal(core, log, name))
  await settleLeft(core, log, {
    journals: [journal, ...ofWorkers],
    errorClass: 'gateway_restarted',
    record: (record) => ledger.append(record),
  })
  // Nothing of former starts is left that is not on its way.
  await core.durable.told?.()
  for (const one of ofWorkers) one.close()
  return {
    openCalls: { calls: journal, durable: core.durable },
    close: () => journal.close(),
  }
}

/**
 * Settles what a worker that is gone has left: calls in its journal have a record and are charged what they held, and in
 * the same moment what it holds at the gate is given back.
 */
export async function settleWorker(
  core: Core,
  log: RootLogger,
  given: {
    readonly slot: number
    readonly journal: boolean
    readonly recorder: Recorder
    readonly abandon: (unsent: ReadonlySet<string>) => void
  },
): Promise<void> {
  const journals = given.journal ? [openJournal(core, log, workerJournal(given.slot))] : []
  try {
    await settleLeft(core, log, {
      journals,
      errorClass: 'worker_lost',
      record: (record) => given.recorder.record(record),
      abandon: given.abandon,
    })
  } finally {
    for (const one of journals) one.close()
  }
}

function openJournal(core: Core, log: RootLogger, name: string): OpenCallJournal {
  const { config } = core.loaded()
  return openCallJournal({
    path: path.join(config.dir, name),
    sync: config.ledger.durability === 'full',
    onProblem: (problem) => log.error({}, problem),
  })
}

type Left = {
  readonly journals: readonly OpenCallJournal[]
  readonly errorClass: string
  readonly record: (record: UsageRecord) => Promise<void>
  /** In the same turn of the event loop as the charges. */
  readonly abandon?: (unsent: ReadonlySet<string>) => void
}

async function settleLeft(
  core: Core,
  log: RootLogger,
  { journals, errorClass, record, abandon }: Left,
): Promise<void> {
  const lost: { readonly call: LeftCall; readonly journal: OpenCallJournal }[] = []
  for (const journal of journals) {
    for (const call of await withoutRecord(core, journal)) lost.push({ call, journal })
  }
  abandon?.(new Set(lost.flatMap(({ call }) => (call.sent ? [] : namesOf(call)))))
  if (lost.length === 0) return
  const charges = lost.map(({ call }) => chargeLost(core, call, log))
  // Shared counters first: told again by a start that comes after one that was killed here, they count it once.
  if (core.durable.told !== undefined) await core.durable.told()
  // Else in one turn of the event loop: records and counters are one transaction.
  const written = await Promise.allSettled(
    lost.map(async ({ call, journal }, index) => {
      const charged = charges[index] ?? null
      if (charged === null) return
      await record(lostRecord(core, { call, errorClass }, charged))
      journal.done(call.requestId)
    }),
  )
  const late = written.filter(({ status }) => status === 'rejected').length
  const unsent = lost.filter(({ call }) => !call.sent).length
  log.warn(
    { calls: lost.length, unsent, not_yet_written: late },
    'calls that a former process left open are settled: at what they had reserved, or at nothing if they were not sent',
  )
}

/** Of its reservations, where the gate is shared. */
function namesOf({ charges }: LeftCall): readonly string[] {
  return charges.flatMap(({ reservation }) => nameIn(reservation) ?? [])
}

async function withoutRecord(core: Core, journal: OpenCallJournal): Promise<readonly LeftCall[]> {
  const lost: LeftCall[] = []
  for (let i = 0; i < journal.left.length; i += ASKED_AT_ONCE) {
    const asked = journal.left.slice(i, i + ASKED_AT_ONCE)
    const known = await Promise.all(asked.map(({ requestId }) => recordOf(core, requestId)))
    for (const [index, call] of asked.entries()) {
      const record = known[index] ?? null
      if (record === null) {
        lost.push(call)
        continue
      }
      core.durable.recorded?.(call.charges, record.charges ?? [])
      journal.done(call.requestId)
    }
  }
  return lost
}

async function recordOf({ store }: Core, requestId: string): Promise<UsageRecord | null> {
  const { items } = await store.records.list({ requestId }, { limit: 1, cursor: null })
  return items[0] ?? null
}

/** Null: it cannot be charged, and stays in the journal. */
function chargeLost(
  { durable }: Core,
  { requestId, charges, sent }: LeftCall,
  log: RootLogger,
): readonly DurableCharge[] | null {
  try {
    if (sent) return durable.charge(charges)
    durable.unsent?.(charges)
    return []
  } catch (err) {
    log.error({ err, request_id: requestId }, 'a call in the journal cannot be settled')
    return null
  }
}

/** `estimated`: nobody knows what the provider did with it. Of a call that was not sent it is known: nothing. */
function lostRecord(
  core: Core,
  { call, errorClass }: Pick<Left, 'errorClass'> & { readonly call: LeftCall },
  charges: readonly DurableCharge[],
): UsageRecord {
  const { requestId, startedAtMs, keyId, provider, target, sent, inputTokens, outputTokens } = call
  const key = core.keyRing.list().find(({ id }) => id === keyId)
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
    attempts: sent ? [{ target, status: null, errorClass, durationMs: 0 }] : [],
    status: STATUS_LOST,
    errorSource: 'gateway',
    errorClass,
    stream: call.stream,
    complete: false,
    usage: sent ? { ...NO_USAGE, inputTokens, outputTokens } : NO_USAGE,
    estimated: sent,
    costNanoUsd: sent ? call.costNanoUsd : 0,
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
