import { setTimeout as sleep } from 'node:timers/promises'
import type { LedgerProof, LedgerReading } from '../contracts/ledger-proof.ts'
import type { Gate } from '../contracts/limit.ts'
import { ServerAway } from '../contracts/script-server.ts'
import { recount, type Recount } from '../data-plane/limits/recount.ts'
import { recountShared } from '../data-plane/limits/shared/recount-shared.ts'
import { AdminError } from './admin-error.ts'
import type { Control } from './control.ts'

/** Records are committed a moment after their counters: what differs is looked at again, each time with more patience. */
const WAITS_MS: readonly number[] = [0, 300, 1000, 3000]
/** One slow answer breaks a connection, and the next is there within a second. */
const READ_TRIES = 4
const READ_PAUSE_MS = 500

export type VerifiedLedger = {
  readonly reading: LedgerReading
  readonly recounts: readonly Recount[]
}

/** Every durable counter beside the records, wherever it is counted. Throws `AdminError` while the counters are away. */
export async function verifyLedger(
  { gate, store }: Pick<Control, 'gate' | 'store'>,
  proof: LedgerProof,
  { chain }: { readonly chain: boolean },
): Promise<VerifiedLedger> {
  if (gate.readDurable === undefined) {
    const reading = await proof.read({ chain })
    return { reading, recounts: recount(reading.counters, reading.charged) }
  }
  const stored = await store.counters.list()
  const read = reader(
    gate.readDurable.bind(gate),
    stored.map(({ counterKey }) => counterKey),
  )
  const first = await verifyShared(read, proof, { waitMs: 0, chain })
  let latest = first
  for (const waitMs of WAITS_MS.slice(1)) {
    if (!latest.recounts.some(differs)) break
    latest = await verifyShared(read, proof, { waitMs, chain: false })
  }
  return { ...latest, reading: { ...latest.reading, chain: first.reading.chain } }
}

type ReadShared = () => ReturnType<NonNullable<Gate['readDurable']>>

function reader(
  readDurable: NonNullable<Gate['readDurable']>,
  besides: readonly string[],
): ReadShared {
  return async () => {
    for (let tries = 1; ; tries++) {
      try {
        return await readDurable(besides)
      } catch (thrown) {
        if (!(thrown instanceof ServerAway)) throw thrown
        if (tries === READ_TRIES) {
          throw new AdminError(
            'store_unavailable',
            'The counters are in Redis, which cannot be reached. Nothing was compared.',
          )
        }
      }
      await sleep(READ_PAUSE_MS)
    }
  }
}

async function verifyShared(
  read: ReadShared,
  proof: LedgerProof,
  { waitMs, chain }: { readonly waitMs: number; readonly chain: boolean },
): Promise<VerifiedLedger> {
  const before = await read()
  if (waitMs > 0) await sleep(waitMs)
  const reading = await proof.read({ chain })
  const after = await read()
  const { counters: stored, charged } = reading
  return { reading, recounts: recountShared({ before, after, stored, charged }) }
}

function differs({ counted, recounted }: Recount): boolean {
  return recounted !== null && recounted !== counted
}
