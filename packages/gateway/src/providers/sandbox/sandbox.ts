import { createServer, type Server } from 'node:http'
import type { ProviderFacts } from '../../contracts/provider.ts'
import type { TokenCounter } from '../../contracts/tokenizer.ts'
import { type BillLine, type BillTotals, createBill } from './bill.ts'
import { countWith, createOwnCounter } from './count-input.ts'
import type { Sandbox as Shared } from './exchange.ts'
import { sandboxFacts } from './facts.ts'
import { createRequestLog } from './request-log.ts'
import { serve } from './serve.ts'

export type Sandbox = {
  readonly url: string
  readonly facts: ProviderFacts
  bill(): readonly BillLine[]
  billTotals(): BillTotals
  reset(): void
  close(): Promise<void>
}

export type SandboxOptions = {
  /** 0 (the default): any free port. */
  readonly port?: number
  /** Milliseconds between output tokens of models without a speed of their own. 0: as fast as they can be written. */
  readonly tokenMs?: number
  /** Counts input; without it the sandbox loads a vocabulary of its own. */
  readonly tokenCounter?: TokenCounter
}

/** Longer than any gateway's idle pool, so that a reused connection is not closed under a request. */
const KEEP_ALIVE_MS = 75_000

/** Starts the simulated upstream on a loopback port. */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const counter = options.tokenCounter
  const shared: Shared = {
    bill: createBill(),
    count: counter === undefined ? createOwnCounter() : countWith(counter),
    tokenMs: options.tokenMs ?? 0,
  }
  const log = createRequestLog()
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    serve(shared, log, request, response).catch(() => response.destroy())
  })
  const url = await listen(server, options.port ?? 0)
  return {
    url,
    facts: sandboxFacts(url),
    bill: () => shared.bill.lines(),
    billTotals: () => shared.bill.totals(),
    reset() {
      shared.bill.reset()
      log.reset()
    },
    close: () => close(server),
  }
}

async function listen(server: Server, port: number): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const address = server.address()
  const bound = typeof address === 'object' && address !== null ? address.port : port
  return `http://127.0.0.1:${bound}`
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
