import { Worker } from 'node:worker_threads'
import type { TokenizerId } from '../contracts/tokenizer.ts'
import { type CountJob, isCountResult } from './worker-messages.ts'

export type CountingWorker = {
  /** One count per text; null when the worker failed or was late. Never rejects. */
  count(tokenizer: TokenizerId, texts: readonly string[]): Promise<readonly number[] | null>
  close(): Promise<void>
}

export type CountingWorkerOptions = {
  readonly timeoutMs: number
  /** Null: the built-in one. */
  readonly workerUrl: URL | null
}

/** A worker that keeps dying (a broken install) is left alone for a while. */
const MAX_CRASHES = 3
const REST_AFTER_CRASHES_MS = 30_000

/** The file beside this one: TypeScript in a checkout, JavaScript in the published package. */
const WORKER_URL = new URL(
  import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js',
  import.meta.url,
)

type Pending = {
  readonly timer: NodeJS.Timeout
  readonly resolve: (counts: readonly number[] | null) => void
}

/** Starts the thread on first use. It holds the process open only while a count is pending. */
export function createCountingWorker(options: CountingWorkerOptions): CountingWorker {
  const pending = new Map<number, Pending>()
  let worker: Worker | null = null
  let lastId = 0
  let crashes = 0
  let restUntilMs = 0
  let closed = false

  function settle(id: number, counts: readonly number[] | null): void {
    const waiting = pending.get(id)
    if (waiting === undefined) return
    pending.delete(id)
    clearTimeout(waiting.timer)
    if (pending.size === 0) worker?.unref()
    waiting.resolve(counts)
  }

  function onGone(gone: Worker): void {
    if (worker !== gone) return
    worker = null
    crashes += 1
    if (crashes >= MAX_CRASHES) restUntilMs = performance.now() + REST_AFTER_CRASHES_MS
    for (const id of pending.keys()) settle(id, null)
  }

  function start(): Worker {
    const started = new Worker(options.workerUrl ?? WORKER_URL)
    started.on('message', (message: unknown) => {
      if (!isCountResult(message)) return
      crashes = 0
      settle(message.id, message.counts)
    })
    started.on('error', () => onGone(started))
    started.on('exit', () => onGone(started))
    started.unref()
    return started
  }

  return {
    count(tokenizer, texts) {
      if (closed || performance.now() < restUntilMs) return Promise.resolve(null)
      worker ??= start()
      const target = worker
      lastId += 1
      const job: CountJob = { id: lastId, tokenizer, texts }
      return new Promise((resolve) => {
        const timer = setTimeout(settle, options.timeoutMs, job.id, null)
        pending.set(job.id, { timer, resolve })
        target.ref()
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
        target.postMessage(job)
      })
    },
    async close() {
      closed = true
      const running = worker
      worker = null
      for (const id of pending.keys()) settle(id, null)
      await running?.terminate()
    },
  }
}
