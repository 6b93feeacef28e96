import type { LimitAlert } from '../../../contracts/limit.ts'
import type { ScriptConnection, ScriptServer } from '../../../contracts/script-server.ts'
import type { Clock } from '../../../lib/clock.ts'
import type { KnownStates } from './known-states.ts'
import type { Answer, ScriptKeys } from './script-calls.ts'
import type { SeenCounters } from './seen-counters.ts'
import type { ServerTime } from './server-time.ts'
import type { SharedReservation } from './shared-reservation.ts'

export type SharedGateOptions = {
  readonly server: ScriptServer
  /** Gateways with the same one share counters. */
  readonly namespace: string
  readonly clock: Clock
  /** How long a reservation whose owner is silent stays open. */
  readonly lifetimeMs: () => number
  readonly onAlert: (alert: LimitAlert) => void
  /** The state of the server: null while it is up. Called on each change. */
  readonly onState: (problem: string | null) => void
  readonly onWarning: (warning: string) => void
  /** Name of the ledger that has a record of what is settled here. Absent: there is none. */
  readonly ledger?: string
  /** Of this start; absent: any. */
  readonly process?: string
  /** Former starts with the same store, which nobody else has: they are gone. */
  readonly formers?: readonly string[]
  /** The server knows that they are. */
  readonly onBuried?: () => void
  readonly openOnRestore?: 'charge' | 'forget'
  /** Tests: the clock is the server's time too, and nothing is done in the background. */
  readonly virtual?: boolean
  /** Tests: waits in a time of their own, and nothing is done in the background but by `housekeep`. */
  readonly pause?: (ms: number) => Promise<void>
}

export function pauseFor({ pause }: SharedGateOptions, ms: number): Promise<void> {
  if (pause !== undefined) return pause(ms)
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** What the parts of the gate share. */
export type SharedGateParts = {
  readonly keys: ScriptKeys
  readonly process: string
  readonly seen: SeenCounters
  readonly known: KnownStates
  readonly time: ServerTime
  readonly options: SharedGateOptions
  /** Durable counters whose state on the server is newer than what is known. */
  readonly dirty: Set<string>
  /** Open reservations, by name. */
  readonly open: Map<string, SharedReservation>
  /** Of the server's counters, as of the present connection. */
  readonly generation: () => string
  /** One call of the script. Throws `ServerAway`. */
  readonly call: (
    connection: ScriptConnection,
    operation: string,
    counterKeys: readonly string[],
    args: readonly string[],
  ) => Promise<Answer>
}
