import type { Client } from 'pg'
import type { StoreError } from '../../errors/store-error.ts'
import { insertBatch } from './insert-batch.ts'
import type { Spool } from './spool.ts'
import type { Frame } from './spool-frame.ts'
import { toStoreError } from './store-errors.ts'

export type SpoolDrain = {
  /** There is something to take. */
  wake(): void
  /** Resolves when all that is in the spool now is in the database; rejects when the database does not take it. */
  drained(): Promise<void>
  /** Why the database takes nothing; null while it does. */
  problem(): StoreError | null
  /** Waits for what is under way, and tries to write the rest for as long as the database answers. */
  close(): Promise<void>
}

export type SpoolDrainOptions = {
  readonly spool: Spool
  readonly connect: () => Promise<Client>
  readonly instance: string
  /** Records that are in the database now, in their order. */
  readonly onWritten: (frames: readonly Frame[]) => void
}

const FIRST_PAUSE_MS = 20
const LONGEST_PAUSE_MS = 1000
const CLOSE_PATIENCE_MS = 3000

type Waiter = { readonly upTo: number; readonly outcome: PromiseWithResolvers<void> }

/** Writes the spool into the database, in order and one batch at a time, and begins again until it is done. */
export function drainSpool(options: SpoolDrainOptions): SpoolDrain {
  const { spool, instance } = options
  const waiters: Waiter[] = []
  let client: Client | null = null
  let written = 0
  let failure: StoreError | null = null
  let pauseMs = FIRST_PAUSE_MS
  let running = false
  let timer: NodeJS.Timeout | null = null
  let closing = false

  async function writeSome(): Promise<void> {
    const frames = await spool.take()
    if (frames.length === 0) return
    client ??= await options.connect()
    const lines = frames.flatMap((frame) => frame.lines)
    const counters = frames.flatMap((frame) => frame.counters)
    await insertBatch(client, instance, { lines, counters })
    written += frames.length
    await spool.done(frames.length)
    options.onWritten(frames)
  }

  async function run(): Promise<void> {
    if (running) return
    running = true
    try {
      while (spool.frames > 0) {
        await writeSome()
        failure = null
        pauseMs = FIRST_PAUSE_MS
        answerWaiters()
      }
    } catch (thrown) {
      failed(toStoreError(thrown))
    }
    running = false
  }

  function failed(error: StoreError): void {
    failure = error
    // Whatever it was: a connection of which nothing is known is not used again.
    const broken = client
    client = null
    if (broken !== null) void endQuietly(broken)
    for (const { outcome } of waiters.splice(0)) outcome.reject(error)
    if (closing) return
    timer = setTimeout(wake, pauseMs * (0.5 + Math.random() / 2)).unref()
    pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)
  }

  function wake(): void {
    if (timer !== null) clearTimeout(timer)
    timer = null
    void run()
  }

  function answerWaiters(): void {
    while (waiters[0] !== undefined && waiters[0].upTo <= written)
      waiters.shift()?.outcome.resolve()
  }

  return {
    wake() {
      // After a failure the pause decides.
      if (!running && timer === null && !closing) void run()
    },
    async drained() {
      if (spool.frames === 0) return
      if (failure !== null && timer !== null) throw failure
      const outcome = Promise.withResolvers<void>()
      waiters.push({ upTo: written + spool.frames, outcome })
      void run()
      await outcome.promise
    },
    problem: () => failure,
    async close() {
      closing = true
      if (timer !== null) clearTimeout(timer)
      timer = null
      const patience = Promise.withResolvers<void>()
      const late = setTimeout(patience.resolve, CLOSE_PATIENCE_MS)
      await Promise.race([this.drained().catch(() => {}), patience.promise])
      clearTimeout(late)
      if (client !== null) await endQuietly(client)
    },
  }
}

async function endQuietly(client: Client): Promise<void> {
  try {
    await client.end()
  } catch {
    // It was broken.
  }
}
