import {
  type ScriptConnection,
  type ScriptServer,
  type ScriptServerHandlers,
  type ScriptValue,
  ServerAway,
} from '../../../contracts/script-server.ts'
import type { World } from '../world.ts'
import type { SimRedis } from './sim-redis.ts'

const TIMEOUT_MS = 250
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 800

/** How bad the network is; 0: not at all. */
export type Weather = { loss: number }

/** A call that the server ran and of which nobody heard. */
export type Unheard = (args: readonly string[]) => void

type Waiting = { readonly reject: (reason: ServerAway) => void }

/** The way of one gateway to the server: late, lost and repeated as the simulation wants it. Connects again like the real one. */
export class SimLink implements ScriptServer {
  #handlers: ScriptServerHandlers | null = null
  #connection: SimConnection | null = null
  #pauseMs = FIRST_PAUSE_MS
  #stopped = false
  #cutUntilMs = 0
  readonly #world: World
  readonly #redis: SimRedis
  readonly #weather: Weather

  readonly #onUnheard: Unheard

  constructor(world: World, redis: SimRedis, weather: Weather, onUnheard: Unheard) {
    this.#world = world
    this.#redis = redis
    this.#weather = weather
    this.#onUnheard = onUnheard
  }

  start(handlers: ScriptServerHandlers): void {
    this.#handlers = handlers
    this.#dial()
  }

  async stop(): Promise<void> {
    this.kill()
  }

  /** The process is gone: nobody hears of it. */
  kill(): void {
    this.#stopped = true
    this.#connection?.vanish()
  }

  /** For so long nobody gets through from here. */
  cut(forMs: number): void {
    this.#cutUntilMs = this.#world.nowMs + forMs
    this.#connection?.fail('cut')
  }

  #dial(): void {
    if (this.#stopped) return
    const isCut = this.#world.nowMs < this.#cutUntilMs
    if (isCut || !this.#redis.up) return this.#again('refused')
    const connection = new SimConnection(this.#world, this.#redis, this.#weather, {
      onUnheard: this.#onUnheard,
      onLost: (reason) => {
        if (this.#connection !== connection) return
        this.#connection = null
        if (!this.#stopped) this.#again(reason)
      },
    })
    this.#connection = connection
    void this.#take(connection)
  }

  async #take(connection: SimConnection): Promise<void> {
    try {
      await this.#handlers?.onConnect(connection)
      if (connection.alive) this.#pauseMs = FIRST_PAUSE_MS
    } catch (thrown) {
      connection.fail(String(thrown))
    }
  }

  #again(reason: string): void {
    this.#handlers?.onLost(reason)
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 2)
    this.#world.after(this.#world.below(this.#pauseMs) + 1, () => this.#dial())
  }
}

type ConnectionEvents = {
  readonly onUnheard: Unheard
  readonly onLost: (reason: string) => void
}

class SimConnection implements ScriptConnection {
  alive = true
  readonly serverRun: string
  readonly #world: World
  readonly #redis: SimRedis
  readonly #weather: Weather
  readonly #events: ConnectionEvents
  readonly #waiting = new Set<Waiting>()
  #lastArrivalMs = 0
  #lastReplyMs = 0
  #vanished = false

  constructor(world: World, redis: SimRedis, weather: Weather, events: ConnectionEvents) {
    this.#world = world
    this.#redis = redis
    this.#weather = weather
    this.#events = events
    this.serverRun = `run-${redis.run}`
  }

  run(keys: readonly string[], args: readonly string[]): Promise<ScriptValue> {
    return new Promise((resolve, reject) => {
      if (this.#vanished) return
      if (!this.alive) return reject(new ServerAway('is away'))
      const waiting = { reject }
      this.#waiting.add(waiting)
      const world = this.#world
      this.#lastArrivalMs = Math.max(this.#lastArrivalMs, world.nowMs + this.#latencyMs())
      const isLost = world.chance(this.#weather.loss)
      const answerIsLost = world.chance(this.#weather.loss)
      const comesLate = world.chance(0.5)
      if (isLost) return this.#timeOut()
      world.after(this.#lastArrivalMs - world.nowMs, () => {
        // What was sent before the connection broke may still arrive.
        if (!this.alive && !comesLate) return
        if (!this.#redis.up || `run-${this.#redis.run}` !== this.serverRun) {
          return this.fail('reset')
        }
        this.#execute({ keys, args, answerIsLost }, (value) => {
          if (this.#waiting.delete(waiting)) resolve(value)
        })
      })
    })
  }

  async scanSet(key: string): Promise<{ cursor: string; members: readonly string[] }> {
    if (!this.alive) throw new ServerAway('is away')
    return { cursor: '0', members: await this.#redis.members(key) }
  }

  fail(reason: string): void {
    if (!this.alive) return
    this.alive = false
    for (const { reject } of this.#waiting) reject(new ServerAway('is away'))
    this.#waiting.clear()
    this.#events.onLost(reason)
  }

  /** Its process is gone: nobody hears an answer any more. */
  vanish(): void {
    this.alive = false
    this.#vanished = true
    this.#waiting.clear()
  }

  #execute(
    call: {
      readonly keys: readonly string[]
      readonly args: readonly string[]
      readonly answerIsLost: boolean
    },
    answer: (value: ScriptValue) => void,
  ): void {
    const told = async (): Promise<void> => {
      const value = await this.#redis.execute(call.keys, call.args)
      if (call.answerIsLost) {
        this.#events.onUnheard(call.args)
        return this.#timeOut()
      }
      const world = this.#world
      this.#lastReplyMs = Math.max(this.#lastReplyMs, world.nowMs + this.#latencyMs())
      world.after(this.#lastReplyMs - world.nowMs, () => {
        if (this.alive) answer(value)
        else this.#events.onUnheard(call.args)
      })
    }
    told().catch((thrown: unknown) => {
      throw thrown
    })
  }

  #timeOut(): void {
    this.#world.after(TIMEOUT_MS, () => this.fail('did not answer in time'))
  }

  #latencyMs(): number {
    const world = this.#world
    return world.chance(0.05) ? 1 + world.below(120) : 1 + world.below(3)
  }
}
