import type { UsageRecordView } from '../../packages/gateway/src/control-plane/admin-api.ts'

const LOST: ReadonlySet<string | null> = new Set(['gateway_restarted', 'worker_lost'])

/** A call that had no connection to its provider when its process was killed has a record without usage. */
export function wasSent({ error_class, usage }: UsageRecordView): boolean {
  return !LOST.has(error_class) || usage.output !== null
}
