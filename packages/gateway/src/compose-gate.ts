import type { GatewayConfig } from './config/gateway-config.ts'
import { redisUrlOf } from './config/limits-backend.ts'
import type { Room } from './contracts/room.ts'
import type { DurableCharges } from './contracts/durable-charge.ts'
import type { Gate, LimitAlert } from './contracts/limit.ts'
import { createMemoryGate } from './data-plane/limits/memory-gate.ts'
import { gateStarts, ledgerName } from './compose-store.ts'
import type { Store } from './contracts/store.ts'
import { GATE_SCRIPT, newProcessName, SharedGate } from './data-plane/limits/shared/shared-gate.ts'
import { SYSTEM_CLOCK } from './lib/clock.ts'
import { parseDurationMs } from './lib/duration.ts'
import type { GatewayPlan } from './plan/gateway-plan.ts'

/** Beyond the longest call: what is silent for so long is lost. */
const RESERVATION_GRACE_MS = 60_000
const FIRST_CONNECTION_MS = 1500
const FIRST_LOOK_MS = 10

type GateHandlers = {
  /** The server of the counters: what is wrong with it, or null. On each change. */
  readonly onState: (problem: string | null) => void
  readonly onWarning: (warning: string) => void
}

/** The server that the gate shares its counters on. */
export type GateBackend = {
  /** Connects, and waits a moment for it. A server that is away is no error. */
  start(handlers: GateHandlers): Promise<void>
  stop(): Promise<void>
  /** Null while it is up. */
  problem(): string | null
}

export type ComposedGate = {
  readonly gate: Gate
  readonly durable: DurableCharges
  readonly room: Room | null
  readonly backend: GateBackend | null
}

export async function composeGate(
  config: GatewayConfig,
  given: {
    readonly plan: () => GatewayPlan
    readonly onAlert: (alert: LimitAlert) => void
    readonly store: Store
    /** It will serve, and its next start has to know of it. */
    readonly serves: boolean
  },
): Promise<ComposedGate> {
  const url = redisUrlOf(config.limits.backend)
  if (url === null) {
    const gate = createMemoryGate({ clock: SYSTEM_CLOCK, onAlert: given.onAlert })
    return { gate, durable: gate.durable, room: gate.room, backend: null }
  }
  // Its client takes time to load, and most start without it.
  const { createRedisServer } = await import('./storage/redis/redis-server.ts')
  const handlers: { given: GateHandlers | null } = { given: null }
  const timeoutMs = parseDurationMs(config.limits.timeout)
  const process = newProcessName()
  const ledger = config.ledger.enabled ? { ledger: await ledgerName(given.store) } : {}
  // Without a ledger nobody knows what former starts spent.
  const remembers = given.serves && config.ledger.enabled
  const starts = remembers ? await gateStarts(given.store, process) : null
  const gate = new SharedGate({
    server: createRedisServer({ url, script: GATE_SCRIPT, timeoutMs }),
    namespace: config.limits.namespace,
    clock: SYSTEM_CLOCK,
    ...ledger,
    process,
    ...(starts === null ? {} : { formers: starts.formers, onBuried: starts.forget }),
    lifetimeMs: () => longestCallMs(given.plan()) + RESERVATION_GRACE_MS,
    onAlert: given.onAlert,
    onState: (problem) => handlers.given?.onState(problem),
    onWarning: (warning) => handlers.given?.onWarning(warning),
  })
  const backend: GateBackend = {
    async start(own) {
      handlers.given = own
      gate.start()
      await firstConnection(gate)
    },
    stop: () => gate.stop(),
    problem: () => gate.problem(),
  }
  return { gate, durable: gate.durable, room: null, backend }
}

/** A client that never gets to the server must not keep the gateway from starting. */
async function firstConnection(gate: SharedGate): Promise<void> {
  const untilMs = performance.now() + FIRST_CONNECTION_MS
  while (gate.problem() !== null && performance.now() < untilMs) {
    await new Promise((resolve) => setTimeout(resolve, FIRST_LOOK_MS))
  }
}

const longestByPlan = new WeakMap<GatewayPlan, number>()

function longestCallMs(plan: GatewayPlan): number {
  let longest = longestByPlan.get(plan)
  if (longest === undefined) {
    longest = Math.max(0, ...[...plan.providers.values()].map(({ timeouts }) => timeouts.totalMs))
    longestByPlan.set(plan, longest)
  }
  return longest
}
