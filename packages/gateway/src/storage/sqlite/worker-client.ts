import { Worker } from 'node:worker_threads'
import { StoreError, type StoreErrorReason } from '../../errors/store-error.ts'
import type {
  SqlResult,
  WorkerCall,
  WorkerReply,
  WorkerRequest,
  WorkerSettings,
} from './messages.ts'

/** Posts calls to a database worker. Answers come in the order of the calls. */
export type WorkerClient = {
  /** @throws StoreError when the database cannot be opened */
  open(): Promise<void>
  /** @throws StoreError */
  call(call: WorkerCall): Promise<SqlResult>
  close(): Promise<void>
}

type Waiting = {
  readonly resolve: (result: SqlResult) => void
  readonly reject: (error: StoreError) => void
}

type Running = { readonly worker: Worker; readonly waiting: Map<number, Waiting> }

/**
 * The worker starts with `open` or with the first call. One that dies is started again by the next call, so that one
 * crash does not end the gateway.
 */
export function databaseWorker(settings: WorkerSettings): WorkerClient {
  let running: Running | null = null
  let nextId = 1
  let closed = false

  async function start(): Promise<void> {
    const opening = Promise.withResolvers<SqlResult>()
    const started = spawn(settings, opening, () => {
      if (running === started) running = null
    })
    running = started
    await opening.promise
  }

  async function call(request: WorkerCall): Promise<SqlResult> {
    if (closed) throw new StoreError('unreadable', 'The store is closed.')
    if (running === null) await start()
    const current = running
    if (current === null) throw new StoreError('failed', 'The database worker ended.')
    const answer = Promise.withResolvers<SqlResult>()
    const id = nextId++
    // An idle worker must not keep a command-line process alive; one at work must.
    if (current.waiting.size === 0) current.worker.ref()
    current.waiting.set(id, answer)
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    current.worker.postMessage({ id, call: request } satisfies WorkerRequest)
    return answer.promise
  }

  return {
    open: start,
    call,
    async close() {
      if (closed) return
      const last = running === null ? null : call({ kind: 'close' })
      closed = true
      await last?.catch(() => {})
    },
  }
}

function spawn(
  settings: WorkerSettings,
  opening: PromiseWithResolvers<SqlResult>,
  onEnd: () => void,
): Running {
  // The source runs as .ts, the build as .js: the neighbour has this module's own extension.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  const worker = new Worker(new URL(`./sqlite-worker.${extension}`, import.meta.url), {
    workerData: settings,
    execArgv: [],
  })
  const waiting = new Map<number, Waiting>([[0, opening]])
  worker.on('message', (reply: WorkerReply) => {
    const waiter = waiting.get(reply.id)
    waiting.delete(reply.id)
    if (waiting.size === 0) worker.unref()
    if (reply.ok) waiter?.resolve(reply.result)
    else waiter?.reject(new StoreError(toReason(reply.reason), reply.message))
  })
  const fail = (error: StoreError): void => {
    onEnd()
    for (const waiter of waiting.values()) waiter.reject(error)
    waiting.clear()
  }
  worker.on('error', (cause) => {
    fail(new StoreError('failed', 'The database worker failed.', { cause }))
  })
  worker.on('exit', () => fail(new StoreError('failed', 'The database worker ended.')))
  return { worker, waiting }
}

const REASONS: readonly StoreErrorReason[] = [
  'busy',
  'full',
  'readonly',
  'unreadable',
  'corrupt',
  'foreign',
  'newer',
  'duplicate',
]

function toReason(text: string): StoreErrorReason {
  return REASONS.find((reason) => reason === text) ?? 'failed'
}
