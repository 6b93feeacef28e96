import type { ChargeSum } from '../../contracts/ledger-proof.ts'
import { recount } from '../../data-plane/limits/recount.ts'
import type { SharedKeys, SimGateway } from './gateway.ts'
import { LIMITS } from './limits.ts'
import type { SimProvider } from './provider.ts'

/** A revocation reaches every other machine within this, with all of its messages lost. Milliseconds. */
const REVOKED_EVERYWHERE_MS = 1_000

/**
 * A start under a clock that went back counts what its predecessor held in a later window in this one. That may be more
 * than fits, and then nothing is admitted until it is over.
 */
const IN_DEBT: ReadonlySet<string> = new Set(['hour', 'slide'])

/** What must hold after every step. The number is that of the list of invariants in the design. */
export function brokenNow(
  gateway: SimGateway,
  keys: SharedKeys,
  takenOn: readonly number[],
): string | null {
  if (!gateway.isUp || !gateway.changed) return null
  gateway.changed = false
  const open = gateway.gate.openReservations()
  if (open !== gateway.calls.size) return `2: ${open} reservations for ${gateway.calls.size} calls`
  for (const counter of list(gateway)) {
    const { id, used, reserved, amount } = counter
    if (reserved < 0) return `2: ${JSON.stringify(counter)}`
    if (used + reserved <= amount || (reserved === 0 && IN_DEBT.has(id))) continue
    return `1, 4, 5: ${JSON.stringify(counter)}`
  }
  return brokenRevocation(gateway, keys, takenOn)
}

function list({
  gate,
}: SimGateway): readonly { id: string; used: number; reserved: number; amount: number }[] {
  const views = gate.list()
  if (views instanceof Promise) throw new TypeError('this gate answers at once')
  return [...views]
}

function brokenRevocation(
  gateway: SimGateway,
  { revokedAtMs }: SharedKeys,
  takenOn: readonly number[],
): string | null {
  const last = gateway.admissions.at(-1)
  const atMs = last === undefined ? null : (revokedAtMs[last.key] ?? null)
  if (last === undefined || atMs === null) return null
  const graceMs = takenOn[last.key] === last.gateway ? 0 : REVOKED_EVERYWHERE_MS
  return last.atMs > atMs + graceMs ? `13: key ${last.key} was admitted after its end` : null
}

/** What must hold once everything has come to its end. */
export function brokenAtEnd(gateway: SimGateway, provider: SimProvider): string | null {
  const { disk } = gateway
  if (gateway.calls.size > 0 || gateway.pending().length > 0) return '21: something never ended'
  for (const id of gateway.acknowledged) {
    if (!disk.records.has(id)) return `the client has ${id}, and the ledger does not`
  }
  if (disk.journal.size > 0) return `2: the journal still has ${[...disk.journal.keys()].join()}`
  return brokenBooks(gateway) ?? brokenBill(gateway, provider)
}

/** 3: every counter is the sum of the records that name it. */
function brokenBooks({ disk }: SimGateway): string | null {
  const sums = new Map<string, ChargeSum>()
  for (const charge of [...disk.records.values()].flatMap(({ charges }) => charges)) {
    const { counter, at, era, amount } = charge
    const name = `${counter} ${at} ${era}`
    sums.set(name, { counter, at, era, amount: (sums.get(name)?.amount ?? 0) + amount })
  }
  for (const one of recount([...disk.counters.values()], [...sums.values()])) {
    if (one.recounted !== null && one.recounted !== one.counted) {
      return `3: ${one.id} of ${one.value} counted ${one.counted}, its records say ${one.recounted}`
    }
  }
  return null
}

/** 3: the ledger never says less than the bill, but for what a process that died could not see. */
function brokenBill({ disk }: SimGateway, { bill }: SimProvider): string | null {
  for (const { requestId, tokens, charges } of disk.records.values()) {
    const charged = charges.find(({ counter }) => counter.startsWith('life|'))?.amount ?? 0
    if (charged !== tokens) return `3: ${requestId} has ${tokens} tokens and charged ${charged}`
    const billed = bill.get(requestId) ?? 0
    if (billed > tokens) {
      return `3: ${requestId} was billed ${billed} and recorded ${tokens}`
    }
  }
  return null
}

/** 1: over a whole run, crashes included, what counts for life was never charged beyond its amount. */
export function overspent({ disk }: SimGateway): string | null {
  const charges = [...disk.records.values()].flatMap((record) => record.charges)
  for (const [counter, ofCounter] of Map.groupBy(charges, (one) => one.counter)) {
    const limit = LIMITS.find(({ id }) => counter.startsWith(`${id}|`))
    if (limit?.algorithm.kind !== 'lifetime') continue
    const sum = ofCounter.reduce((total, { amount }) => total + amount, 0)
    if (sum > limit.algorithm.amount) return `1: ${counter} was charged ${sum}`
  }
  return null
}
