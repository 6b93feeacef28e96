import { createClient } from '@redis/client'
import {
  type ScriptConnection,
  type ScriptServer,
  type ScriptServerHandlers,
  ServerAway,
} from '../../contracts/script-server.ts'
import { RedisConnection } from './redis-connection.ts'

export type RedisServerOptions = {
  /** `redis://` or `rediss://`, with user and password where the server wants them. */
  readonly url: string
  /** The script that all calls run. */
  readonly script: string
  /** Longest silence while a call waits for its answer. */
  readonly timeoutMs: number
}

const CONNECT_MS = 1000
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 1000

/**
 * Keeps one connection to Redis.
 *
 * When it is lost, all calls fail at once, without being tried. After a pause, that doubles up to a second, one new
 * connection is tried; only when it has been taken into use do calls pass again.
 */
export function createRedisServer(options: RedisServerOptions): ScriptServer {
  return new RedisServer(options)
}

class RedisServer implements ScriptServer {
  readonly #options: RedisServerOptions
  #handlers: ScriptServerHandlers | null = null
  #connection: RedisConnection | null = null
  #pause: NodeJS.Timeout | null = null
  #pauseMs = FIRST_PAUSE_MS
  #stopped = false
  #told = false
  /** Where a node of a cluster said that the counters are; for the next connection only. */
  #moved: { readonly host: string; readonly port: number } | null = null

  constructor(options: RedisServerOptions) {
    this.#options = options
  }

  start(handlers: ScriptServerHandlers): void {
    this.#handlers = handlers
    void this.#dial()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    if (this.#pause !== null) clearTimeout(this.#pause)
    this.#connection?.fail('the gateway stops')
  }

  async #dial(): Promise<void> {
    this.#pause = null
    let reason = 'cannot be reached'
    const lost = (why: string): void => this.#lost(connection, why)
    const connection = new RedisConnection(this.#client(), { ...this.#options, onLost: lost })
    this.#connection = connection
    try {
      const { warnings } = await connection.open()
      for (const warning of this.#told ? [] : warnings) this.#handlers?.onWarning(warning)
      this.#told = true
      await this.#handlers?.onConnect(connection satisfies ScriptConnection)
      if (connection.alive) this.#pauseMs = FIRST_PAUSE_MS
      return
    } catch (thrown) {
      reason = thrown instanceof ServerAway ? thrown.message : String(thrown)
    }
    connection.fail(reason)
  }

  #client(): ReturnType<typeof createClient> {
    const url = new URL(this.#options.url)
    if (this.#moved !== null) {
      const { host, port } = this.#moved
      url.hostname = host.includes(':') ? `[${host}]` : host
      url.port = String(port)
    }
    this.#moved = null
    const common = { connectTimeout: CONNECT_MS, reconnectStrategy: false as const }
    return createClient({
      url: url.href,
      RESP: 2,
      disableOfflineQueue: true,
      disableClientInfo: true,
      maintNotifications: 'disabled',
      socket: url.protocol === 'rediss:' ? { ...common, tls: true } : common,
    }) as ReturnType<typeof createClient>
  }

  #lost(connection: RedisConnection, reason: string): void {
    if (this.#connection !== connection) return
    this.#connection = null
    this.#handlers?.onLost(reason)
    if (this.#stopped) return
    this.#moved = movedTo(reason)
    // Many processes that lost one server must not come back in the same millisecond.
    const pauseMs = this.#moved === null ? this.#pauseMs * (0.5 + Math.random() / 2) : 0
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 2)
    this.#pause = setTimeout(() => void this.#dial(), pauseMs)
    this.#pause.unref()
  }
}

/** `MOVED 3999 127.0.0.1:6381` names the node that has the slot. Source: redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec. */
function movedTo(reason: string): { readonly host: string; readonly port: number } | null {
  const match = /\bMOVED \d+ (\S+):(\d+)/.exec(reason)
  const [, host, port] = match ?? []
  return host === undefined || host === '' ? null : { host, port: Number(port) }
}
