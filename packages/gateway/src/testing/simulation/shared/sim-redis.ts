import { createClient, RESP_TYPES } from '@redis/client'
import type { ScriptValue } from '../../../contracts/script-server.ts'
import { TEST_START_MS } from '../../virtual-clock.ts'
import type { World } from '../world.ts'

/** The few things that are asked of the client; its own type has no short name. */
export type SimClient = {
  sendCommand<Reply>(words: readonly (string | Buffer)[]): Promise<Reply>
  /** The same, with bytes for texts. */
  sendForBytes(words: readonly string[]): Promise<Buffer>
  destroy(): void
}

/** Of a server that belongs to the simulation alone: it is emptied for every seed. */
export async function connectSim(url: string): Promise<SimClient> {
  const client = createClient({ url, RESP: 2 })
  await client.connect()
  const raw = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
  return {
    sendCommand: (words) => client.sendCommand([...words]),
    sendForBytes: (words) => raw.sendCommand<Buffer>([...words]),
    destroy: () => client.destroy(),
  }
}

type Snapshot = readonly { readonly key: string; readonly bytes: Buffer }[]

/** What of its data a server comes back with. */
export type Kept = 'all' | 'nothing' | 'what a replica had'

/**
 * A Redis whose time, restarts and failovers belong to the simulation. The script itself runs in a real server, one call
 * after another, so that what is simulated is the product and no model of it.
 */
export class SimRedis {
  up = true
  run = 1
  /** Of the server's own clock, which somebody may set. */
  skewMs = 0
  readonly #world: World
  readonly #client: SimClient
  readonly #sha: string
  readonly #underWay = new Set<Promise<unknown>>()
  #replica: Snapshot | null = null

  private constructor(world: World, client: SimClient, sha: string) {
    this.#world = world
    this.#client = client
    this.#sha = sha
  }

  static async create(world: World, client: SimClient, script: string): Promise<SimRedis> {
    await client.sendCommand(['FLUSHALL'])
    const sha = await client.sendCommand<string>(['SCRIPT', 'LOAD', script])
    return new SimRedis(world, client, sha)
  }

  /** The second argument is the time: the server's own, whatever the caller believes. */
  execute(keys: readonly string[], args: readonly string[]): Promise<ScriptValue> {
    const nowMs = TEST_START_MS + this.#world.nowMs + this.skewMs
    const words = [String(keys.length), ...keys, args[0] ?? '', String(nowMs), ...args.slice(2)]
    return this.#track(this.#client.sendCommand<ScriptValue>(['EVALSHA', this.#sha, ...words]))
  }

  members(key: string): Promise<readonly string[]> {
    return this.#track(this.#client.sendCommand<string[]>(['SMEMBERS', key]))
  }

  /** From here on its replica hears nothing more. */
  async cutReplica(): Promise<void> {
    this.#replica = await this.#track(this.#dump())
  }

  crash(): void {
    this.up = false
  }

  async comeBack(kept: Kept): Promise<void> {
    if (kept !== 'all') await this.#track(this.#client.sendCommand(['FLUSHALL']))
    if (kept === 'what a replica had') {
      for (const { key, bytes } of this.#replica ?? []) {
        const restored = this.#client.sendCommand(['RESTORE', key, '0', bytes])
        await this.#track(restored)
      }
    }
    this.run += 1
    this.up = true
  }

  /** Until nothing runs that belongs to the present moment of the simulation. */
  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay)
  }

  async #dump(): Promise<Snapshot> {
    const keys = await this.#client.sendCommand<string[]>(['KEYS', '*'])
    return Promise.all(
      keys.map(async (key) => ({ key, bytes: await this.#client.sendForBytes(['DUMP', key]) })),
    )
  }

  #track<Value>(work: Promise<Value>): Promise<Value> {
    this.#underWay.add(work)
    return work.finally(() => this.#underWay.delete(work))
  }
}
