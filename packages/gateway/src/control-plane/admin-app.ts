import { Hono } from 'hono'
import type { Control } from './control.ts'

export type AdminAppOptions = {
  /** Host names that the `Host` header may have; null: any. Default: the names of this machine's loopback. */
  readonly allowedHosts?: readonly string[] | null
  /** True when the listener is reachable from elsewhere: `/metrics` then needs the token too. */
  readonly guardMetrics?: boolean
  /** Between heartbeats on `/admin/v1/events`. Default 15 000. */
  readonly heartbeatMs?: number
  /** Ends event streams, so that a server can close. */
  readonly closing?: AbortSignal
}

/** The whole admin port as one `fetch` function. No listener: the CLI calls it in-process when no server runs. */
export function createAdminApp(_control: Control, _options: AdminAppOptions = {}): Hono {
  return new Hono()
}
