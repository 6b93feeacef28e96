import type { CallAnswer } from './call.ts'
import { askOf, call } from './call.ts'
import { type Gateway, startGateway } from './gateway.ts'
import { nothingOpen } from './nothing-open.ts'
import type { SandboxProcess } from './sandbox.ts'
import { waitFor } from './wait-for.ts'

/** How soon all must be as before. */
export const RECOVERY_MS = 5000

export type Fleet = {
  readonly gateways: readonly Gateway[]
  /** One call, at the gateways in turn. */
  readonly ask: (index: number) => Promise<CallAnswer>
}

export type FleetOptions = {
  readonly size: number
  readonly redisUrl: string
  readonly sandbox: SandboxProcess
  readonly limits: readonly object[]
}

let namespace = 0

/** Gateways with stores and keys of their own, which share nothing but Redis. */
export async function startFleet({
  size,
  redisUrl,
  sandbox,
  limits,
}: FleetOptions): Promise<Fleet> {
  namespace += 1
  const config = {
    log: { level: 'info' },
    limits: { backend: redisUrl, namespace: `t${namespace}`, timeout: '250ms' },
    providers: { local: sandbox.provider },
    models: {
      priced: {
        price: { input: 1, output: 2 },
        targets: [{ provider: 'local', model: 'words-20' }],
      },
    },
    policy: { default_provider: 'local', limits },
  }
  const gateways = await Promise.all(
    Array.from({ length: size }, () => startGateway({ config, args: ['--json-logs'] })),
  )
  const keys = await Promise.all(gateways.map(({ admin }) => admin.createKey()))
  const { path, body } = askOf({ model: 'priced', maxTokens: 20 })
  return {
    gateways,
    ask(index) {
      const at = index % size
      return call(`${gateways[at]?.proxyUrl}${path}`, { key: keys[at]?.key ?? '', body })
    },
  }
}

export function statuses(answers: readonly CallAnswer[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

export async function up({ gateways }: Fleet, value: 0 | 1): Promise<void> {
  await waitFor(
    `tollgate_gate_backend_up ${value}`,
    async () => {
      for (const { admin } of gateways) {
        if ((await admin.metrics()).sum('tollgate_gate_backend_up') !== value) return false
      }
      return true
    },
    RECOVERY_MS,
  )
}

export async function settled({ gateways }: Fleet, limit: string): Promise<number> {
  for (const { admin } of gateways) await nothingOpen(admin)
  return await waitFor(`the end of all reservations of ${limit}`, async () => {
    const [first] = gateways
    const view = await first?.admin.limit(limit)
    return view !== undefined && view.reserved === 0 && view.used
  })
}

/** Calls one after another at each of some places, until told to stop. */
export function load(one: Fleet, places: number): { readonly stop: () => Promise<CallAnswer[]> } {
  const state = { on: true }
  const answers: CallAnswer[] = []
  const work = Array.from({ length: places }, async (_, place) => {
    for (let i = place; state.on; i++) answers.push(await one.ask(i))
  })
  return {
    async stop() {
      state.on = false
      await Promise.all(work)
      return answers
    },
  }
}
