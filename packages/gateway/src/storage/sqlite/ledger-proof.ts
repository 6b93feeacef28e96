import type {
  ChainFinding,
  ChainReading,
  LedgerProof,
  LedgerReading,
} from '../../contracts/ledger-proof.ts'
import { StoreError } from '../../errors/store-error.ts'
import { ChargeSums } from '../charge-sums.ts'
import type { SqlValue } from './messages.ts'
import { usageGroups } from './usage-groups.ts'
import type { WorkerClient } from './worker-client.ts'

const MOST_FINDINGS = 100
/** Retention may take records while they are read; then all is read again. */
const TRIES = 3

type Row = Record<string, SqlValue>
type Checkpoint = { readonly at: string; readonly link: Uint8Array; readonly valid: boolean }

export function ledgerProof(reader: WorkerClient, settled: () => Promise<void>): LedgerProof {
  return {
    async groups(filter) {
      await settled()
      return await usageGroups(reader, filter)
    },
    async read({ chain }) {
      for (let tries = 1; ; tries++) {
        await settled()
        const reading = await new Reader(reader, chain).run()
        if (reading !== null) return reading
        if (tries === TRIES) throw new StoreError('busy', 'The ledger is being pruned.')
      }
    },
  }
}

class Reader {
  readonly #reader: WorkerClient
  readonly #chain: boolean
  readonly #sums = new ChargeSums()
  readonly #findings: ChainFinding[] = []
  #findingsTotal = 0
  readonly #checkpoints = new Map<number, Checkpoint>()
  #linked = 0

  constructor(reader: WorkerClient, chain: boolean) {
    this.#reader = reader
    this.#chain = chain
  }

  /** Null: records were pruned meanwhile. */
  async run(): Promise<LedgerReading | null> {
    const [meta, ...others] = await this.#start()
    if (meta === undefined)
      throw new StoreError('failed', 'The ledger does not say how far it goes.')
    const counters = others.flatMap(({ counter_key: counterKey, state }) =>
      typeof counterKey === 'string' && typeof state === 'string' ? [{ counterKey, state }] : [],
    )
    for (const row of others) this.#take(row)
    const start = Number(meta['start'])
    const until = Number(meta['last'])
    const links = this.#chain && start >= 0
    let link = links && meta['link'] instanceof Uint8Array ? meta['link'] : null
    let read = 0
    let unlinked = 0
    for (let after = Math.min(start, Number(meta['first']) - 1), more = true; more; ) {
      const [next, ...rows] = await this.#page({ after, until, link, start })
      if (next === undefined) break
      for (const row of rows) this.#take(row)
      after = Number(next['after'])
      if (links && next['link'] instanceof Uint8Array) link = next['link']
      read += Number(next['read'])
      more = next['more'] === 1
    }
    const [now] = await this.#start()
    if (now?.['start'] !== meta['start']) return null
    unlinked = read - this.#linked
    const records = Number(meta['records'])
    if (this.#chain) this.#judge(meta, read)
    return {
      records,
      counters,
      charged: this.#sums.all(),
      chain: this.#chain ? this.#reading(unlinked) : null,
    }
  }

  #judge(meta: Row, read: number): void {
    if (meta['genuine'] !== 1)
      this.#find(Number(meta['start']), 'the start of the chain was not set by the gateway')
    if (Number(meta['records']) > read)
      this.#find(Number(meta['last']), 'there are rows without a record')
    for (const [position, { at, valid }] of this.#checkpoints) {
      if (!valid) this.#find(position, 'a checkpoint was not written by the gateway')
      else if (position > Number(meta['last']))
        this.#find(position, `the end is missing: the checkpoint of ${at} is beyond it`)
    }
  }

  #reading(unlinked: number): ChainReading {
    return {
      checked: this.#linked,
      unlinked,
      checkpoints: this.#checkpoints.size,
      lastCheckpointAt: [...this.#checkpoints.values()].at(-1)?.at ?? null,
      findings: this.#findings,
      findingsTotal: this.#findingsTotal,
    }
  }

  #find(position: number, problem: string, recordId: string | null = null): void {
    this.#findingsTotal += 1
    if (this.#findings.length < MOST_FINDINGS) this.#findings.push({ position, recordId, problem })
  }

  #take(row: Row): void {
    const { counter, problem, linked, checkpoint, link } = row
    if (typeof counter === 'string') {
      const [era, at, amount] = [Number(row['era']), Number(row['at']), Number(row['amount'])]
      this.#sums.add({ counter, era, at, amount })
    } else if (typeof problem === 'string') {
      const id = row['record_id']
      this.#find(Number(row['position']), problem, typeof id === 'string' ? id : null)
    } else if (typeof linked === 'number') {
      this.#linked += 1
      const known = this.#checkpoints.get(linked)
      const same = link instanceof Uint8Array && Buffer.from(link).equals(known?.link ?? link)
      if (known?.valid === true && !same)
        this.#find(linked, `the checkpoint of ${known.at} has another link`)
    } else if (typeof checkpoint === 'number' && link instanceof Uint8Array) {
      this.#checkpoints.set(checkpoint, { at: String(row['at']), link, valid: row['valid'] === 1 })
    }
  }

  async #start(): Promise<readonly Row[]> {
    return (await this.#reader.call({ kind: 'verify-start' })).rows
  }

  async #page(page: {
    readonly after: number
    readonly until: number
    readonly link: Uint8Array | null
    readonly start: number
  }): Promise<readonly Row[]> {
    return (await this.#reader.call({ kind: 'verify-page', page })).rows
  }
}
