import type { Client } from 'pg'
import type { KeyRecord } from '../../contracts/key.ts'
import type { ChangeFeed, ChangeListener } from '../../contracts/store.ts'
import type { StoreError } from '../../errors/store-error.ts'
import type { Connections } from './connections.ts'
import { toKeyRecord } from './key-store.ts'
import { toStoreError } from './store-errors.ts'

/** A change is asked for so often, also when no notification came: a pooler in between may swallow them. */
const POLL_MS = 400

type Revisions = { readonly keys: number; readonly deletedKeys: number; readonly policies: number }

export type OwnChanges = {
  /** Grows with each change that this process has made. */
  readonly count: () => number
}

/**
 * Revisions of the database are compared with those seen last, each time a notification comes and every POLL_MS. After
 * an outage the first comparison finds everything that was missed.
 */
export function changeFeed(connections: Connections, own: OwnChanges): ChangeFeed {
  return {
    follow(listener) {
      const follower = new Follower(connections, own, listener)
      follower.start()
      return () => follower.stop()
    },
  }
}

class Follower {
  readonly #connections: Connections
  readonly #own: OwnChanges
  readonly #listener: ChangeListener
  #seen: Revisions | null = null
  #client: Client | null = null
  #timer: NodeJS.Timeout | null = null
  #asking = false
  #askAgain = false
  #stopped = false
  #failing = false

  constructor(connections: Connections, own: OwnChanges, listener: ChangeListener) {
    this.#connections = connections
    this.#own = own
    this.#listener = listener
  }

  start(): void {
    void this.#ask()
  }

  stop(): void {
    this.#stopped = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#drop()
  }

  async #ask(): Promise<void> {
    if (this.#asking) {
      this.#askAgain = true
      return
    }
    this.#asking = true
    try {
      do {
        this.#askAgain = false
        await this.#compare()
      } while (this.#askAgain && !this.#stopped)
      this.#tellProblem(null)
    } catch (thrown) {
      this.#drop()
      this.#tellProblem(toStoreError(thrown))
    }
    this.#asking = false
    if (this.#stopped) return this.#drop()
    this.#timer ??= setTimeout(() => {
      this.#timer = null
      void this.#ask()
    }, POLL_MS).unref()
  }

  async #compare(): Promise<void> {
    const now = await readRevisions(await this.#listening())
    const before = this.#seen
    // What was loaded before the first comparison may be older than it.
    if (before === null || now.deletedKeys !== before.deletedKeys) await this.#tellKeys(null)
    else if (now.keys !== before.keys) await this.#tellKeys(before.keys)
    if (before === null || now.policies !== before.policies) this.#listener.policies()
    this.#seen = now
  }

  /** Those of a revision after `since`; null: all of them. */
  async #tellKeys(since: number | null): Promise<void> {
    for (;;) {
      const ownBefore = this.#own.count()
      const keys = await this.#readKeys(since)
      // A change of our own that ended meanwhile may not be among them, and is not to be undone.
      if (this.#own.count() !== ownBefore) continue
      if (!this.#stopped) this.#listener.keys(keys, since === null)
      return
    }
  }

  async #readKeys(since: number | null): Promise<readonly KeyRecord[]> {
    const { database } = this.#connections
    const rows = await database
      .selectFrom('tollgate.keys')
      .select(['body', 'last_used_at_ms'])
      .where('revision', '>', since ?? -1)
      .execute()
    return rows.map(toKeyRecord)
  }

  async #listening(): Promise<Client> {
    if (this.#client !== null) return this.#client
    const client = await this.#connections.connect()
    this.#client = client
    client.on('notification', () => void this.#ask())
    client.on('end', () => {
      if (this.#client === client) this.#client = null
    })
    await client.query('LISTEN tollgate_changes')
    return client
  }

  #drop(): void {
    const client = this.#client
    this.#client = null
    void client?.end().catch(() => {})
  }

  #tellProblem(problem: StoreError | null): void {
    if (this.#failing === (problem !== null) || this.#stopped) return
    this.#failing = problem !== null
    this.#listener.problem(problem?.message ?? null)
  }
}

async function readRevisions(client: Client): Promise<Revisions> {
  const { rows } = await client.query<{ name: string; revision: number }>(
    'SELECT name, revision FROM tollgate.revisions',
  )
  const of = (name: string): number => rows.find((row) => row.name === name)?.revision ?? 0
  return { keys: of('keys'), deletedKeys: of('deleted_keys'), policies: of('policies') }
}
