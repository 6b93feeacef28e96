import type { createClient } from '@redis/client'
import {
  type ScriptConnection,
  type ScriptValue,
  ServerAway,
} from '../../contracts/script-server.ts'

export type RedisConnectionOptions = {
  readonly script: string
  readonly timeoutMs: number
  /** Called once, when the connection cannot be used any more. */
  readonly onLost: (reason: string) => void
}

/** A server that goes on answering, but so slowly, counts as away too. */
const SLOWEST_TIMEOUTS = 20
const OPEN_MS = 2000
/** A look that comes later than this part of the timeout was kept waiting by this process. */
const BUSY_SHARE = 2

/** One connection, from its making to its first fault. It is destroyed then and never used again. */
export class RedisConnection implements ScriptConnection {
  serverRun = ''
  alive = true
  readonly #client: ReturnType<typeof createClient>
  readonly #options: RedisConnectionOptions
  #sha = ''
  #loading: Promise<void> | null = null
  /** When each call that waits was made; they are answered in this order. */
  readonly #sentAtMs: number[] = []
  #answeredAtMs = 0
  #timer: NodeJS.Timeout | null = null
  #dueMs = 0

  constructor(client: ReturnType<typeof createClient>, options: RedisConnectionOptions) {
    this.#client = client
    this.#options = options
    client.on('error', (error: unknown) => this.fail(messageOf(error)))
  }

  /** Connects, looks at how the server is set up, and loads the script. Throws `ServerAway`. */
  async open(): Promise<{ readonly warnings: readonly string[] }> {
    const tooLong = setTimeout(() => this.fail('did not answer in time'), OPEN_MS)
    try {
      await this.#client.connect()
      const info = await this.#client.sendCommand<string>(['INFO'])
      this.serverRun = field(info, 'run_id')
      await this.#load()
      return { warnings: warningsOf(info) }
    } catch (thrown) {
      throw this.#away(thrown)
    } finally {
      clearTimeout(tooLong)
    }
  }

  async run(keys: readonly string[], args: readonly string[]): Promise<ScriptValue> {
    const words = [this.#sha, String(keys.length), ...keys, ...args]
    try {
      return await this.#send(['EVALSHA', ...words])
    } catch (thrown) {
      if (!messageOf(thrown).startsWith('NOSCRIPT')) throw this.#away(thrown)
    }
    try {
      // All calls that meet a flushed script wait for one load.
      this.#loading ??= this.#load().finally(() => (this.#loading = null))
      await this.#loading
      return await this.#send(['EVALSHA', ...words])
    } catch (thrown) {
      throw this.#away(thrown)
    }
  }

  async scanSet(
    key: string,
    cursor: string,
  ): Promise<{ cursor: string; members: readonly string[] }> {
    try {
      const reply = await this.#send(['SSCAN', key, cursor, 'COUNT', '200'])
      const [next, members] = Array.isArray(reply) ? (reply as readonly ScriptValue[]) : []
      return {
        cursor: String(next ?? '0'),
        members: Array.isArray(members) ? members.map(String) : [],
      }
    } catch (thrown) {
      throw this.#away(thrown)
    }
  }

  fail(reason: string): void {
    if (!this.alive) return
    this.alive = false
    if (this.#timer !== null) clearTimeout(this.#timer)
    try {
      this.#client.destroy()
    } catch {
      // It was never open.
    }
    this.#options.onLost(reason)
  }

  async #load(): Promise<void> {
    this.#sha = await this.#client.sendCommand<string>(['SCRIPT', 'LOAD', this.#options.script])
  }

  async #send(words: string[]): Promise<ScriptValue> {
    if (!this.alive) throw new ServerAway('is away')
    const nowMs = performance.now()
    if (this.#sentAtMs.length === 0) this.#answeredAtMs = nowMs
    this.#sentAtMs.push(nowMs)
    if (this.#timer === null) this.#watch(this.#options.timeoutMs)
    try {
      return await this.#client.sendCommand<ScriptValue>(words)
    } finally {
      this.#sentAtMs.shift()
      this.#answeredAtMs = performance.now()
    }
  }

  #look(): void {
    this.#timer = null
    // Answers that came while this process itself was busy are read first.
    setImmediate(() => {
      const [oldestMs] = this.#sentAtMs
      if (oldestMs === undefined || !this.alive || this.#timer !== null) return
      const { timeoutMs } = this.#options
      const nowMs = performance.now()
      // A process that could not listen for so long gives the server its time anew.
      const busy = nowMs - this.#dueMs > timeoutMs / BUSY_SHARE
      const leftMs = busy ? timeoutMs / BUSY_SHARE : timeoutMs - (nowMs - this.#answeredAtMs)
      if (leftMs <= 0 || nowMs - oldestMs > timeoutMs * SLOWEST_TIMEOUTS) {
        return this.fail(`did not answer within ${timeoutMs} ms`)
      }
      this.#watch(Math.max(1, leftMs))
    })
  }

  #watch(ms: number): void {
    this.#dueMs = performance.now() + ms
    this.#timer = setTimeout(() => this.#look(), ms)
  }

  /** Whatever the server says instead of an answer (OOM, READONLY, LOADING, MOVED): it cannot count now. */
  #away(thrown: unknown): ServerAway {
    this.fail(messageOf(thrown))
    return new ServerAway(messageOf(thrown))
  }
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message || thrown.name : String(thrown)
}

function field(info: string, name: string): string {
  return new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]?.trim() ?? ''
}

function warningsOf(info: string): readonly string[] {
  const policy = field(info, 'maxmemory_policy')
  if (policy === '' || policy === 'noeviction') return []
  return [
    `Redis may drop counters when its memory is full (maxmemory-policy ${policy}); set maxmemory-policy noeviction`,
  ]
}
