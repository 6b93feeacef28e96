import {
  type ScriptConnection,
  type ScriptServer,
  type ScriptServerHandlers,
  type ScriptValue,
  ServerAway,
} from '../contracts/script-server.ts'
import type { SimClient } from './simulation/shared/sim-redis.ts'

/** One server for several gates. Its clock and its restarts are the test's. */
export type HandPlace = {
  nowMs: number
  run: string
  readonly client: SimClient
  readonly sha: string
}

/**
 * Of the calls of an operation, one that is not answered. `isRun`: its answer was lost, else the call was. `deadAfter`: nothing
 * that comes later is run; else it is, as when the server could not run this one only.
 */
export type LostCall = {
  readonly operation: string
  readonly call: number
  readonly deadAfter: boolean
  readonly isRun?: boolean
}

/** Connections are made when the test says so, and lose the call that it names. */
export class HandLink implements ScriptServer {
  #handlers: ScriptServerHandlers | null = null
  readonly #place: HandPlace

  constructor(place: HandPlace) {
    this.#place = place
  }

  start(handlers: ScriptServerHandlers): void {
    this.#handlers = handlers
  }

  async stop(): Promise<void> {}

  async connect(lost: LostCall | null = null): Promise<void> {
    await this.#handlers?.onConnect(this.#connection(lost))
  }

  lose(): void {
    this.#handlers?.onLost('lost by the test')
  }

  #connection(lost: LostCall | null): ScriptConnection {
    const place = this.#place
    let left = lost?.call ?? 0
    let alive = true
    return {
      serverRun: place.run,
      async run(keys, [operation = '', , ...args]): Promise<ScriptValue> {
        if (!alive) throw new ServerAway('is away')
        left -= operation === lost?.operation ? 1 : 0
        const isLost = operation === lost?.operation && left === 0
        if (isLost) alive = !lost.deadAfter
        if (isLost && lost.isRun !== true) throw new ServerAway('is away')
        place.nowMs += 1
        const words = [String(keys.length), ...keys, operation, String(place.nowMs), ...args]
        const value = await place.client.sendCommand<ScriptValue>(['EVALSHA', place.sha, ...words])
        if (isLost) throw new ServerAway('is away')
        return value
      },
      async scanSet(key) {
        return { cursor: '0', members: await place.client.sendCommand<string[]>(['SMEMBERS', key]) }
      },
      fail() {
        alive = false
      },
    }
  }
}
