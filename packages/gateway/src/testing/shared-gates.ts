import { randomUUID } from 'node:crypto'
import type {
  ScriptConnection,
  ScriptServer,
  ScriptServerHandlers,
} from '../contracts/script-server.ts'
import { GATE_SCRIPT, SharedGate } from '../data-plane/limits/shared/shared-gate.ts'
import { createRedisServer } from '../storage/redis/redis-server.ts'
import type { GateUnderTest, MakeGate } from './gate-fixtures.ts'

/**
 * Shared gates on one connection, each with counters of its own. Settlements are awaited, and states fetched before they
 * are taken, so that the contract sees them as it would in one process.
 */
export function sharedGates(url: string): { readonly make: MakeGate; stop(): Promise<void> } {
  const server = createRedisServer({ url, script: GATE_SCRIPT, timeoutMs: 5000 })
  const connected = new Promise<ScriptConnection>((resolve) => {
    server.start({
      onConnect: async (connection) => resolve(connection),
      onLost: () => {},
      onWarning: () => {},
    })
  })
  return {
    async make({ clock, onAlert, openOnRestore }) {
      const connection = await connected
      const ready = Promise.withResolvers<void>()
      const gate = new SharedGate({
        server: onlyOnce(connection, ready.resolve),
        namespace: randomUUID(),
        clock,
        lifetimeMs: () => 660_000,
        onAlert,
        onState: () => {},
        onWarning: () => {},
        ...(openOnRestore === undefined ? {} : { openOnRestore }),
        virtual: true,
      })
      gate.start()
      await ready.promise
      return awaited(gate)
    },
    stop: () => server.stop(),
  }
}

function onlyOnce(connection: ScriptConnection, ready: () => void): ScriptServer {
  return {
    start(handlers: ScriptServerHandlers) {
      void handlers.onConnect(connection).then(ready)
    },
    async stop() {},
  }
}

function awaited(gate: SharedGate): GateUnderTest {
  return {
    reserve: (charges, demand) => gate.reserve(charges, demand),
    fits: (charges, demand) => gate.fits(charges, demand),
    extend: (reservation, outputTokens) => gate.extend(reservation, outputTokens),
    async settle(reservation, actual) {
      gate.settle(reservation, actual)
      await gate.flush()
    },
    async release(reservation) {
      gate.release(reservation)
      await gate.flush()
    },
    statesOf: (reservation) => gate.statesOf(reservation),
    async takeChanged() {
      await gate.save()
      return gate.takeChanged()
    },
    async restore(states) {
      gate.restore(states)
      await gate.flush()
    },
    list: () => gate.list(),
    fork: (aheadMs) => gate.fork(aheadMs),
    openReservations: () => gate.openReservations(),
    reset: (limitId, value) => gate.reset(limitId, value),
    grant: (limitId, value, extra) => gate.grant(limitId, value, extra),
  }
}
