import type { EventBus, EventType } from './contracts/event.ts'
import type { RefusalNotice } from './data-plane/pipeline/data-plane.ts'
import type { PrometheusExporter } from './exporters/prometheus/create-prometheus-exporter.ts'

export type RefusalEvent = {
  readonly type: EventType
  readonly data: Readonly<Record<string, unknown>>
}

/** What a limit refused, or would have refused if it did more than watch. */
export function refusalEvent(notice: RefusalNotice): RefusalEvent {
  const { requestId, keyId, limitId, budget, mode } = notice
  const data = { request_id: requestId, key_id: keyId, limit: limitId }
  if (mode !== 'enforce') return { type: 'limit.exceeded', data: { ...data, mode } }
  return { type: budget ? 'budget.exceeded' : 'rate.exceeded', data }
}

/** Of this process or of a worker. Refusals are counted by their records; what was let pass is counted here. */
export function tellEvent(
  { type, data }: RefusalEvent,
  to: { readonly events: EventBus; readonly metrics: PrometheusExporter },
): void {
  to.events.emit(type, data)
  if (type === 'limit.exceeded')
    to.metrics.countExcused(String(data['limit']), String(data['mode']))
}
