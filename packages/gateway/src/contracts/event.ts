/** One thing that happened, for `/admin/v1/events` and, later, webhooks. `data` is JSON with snake_case names and no secret. */
export type GatewayEvent = {
  /** Grows by one; the SSE id. */
  readonly id: number
  readonly type: EventType
  readonly atMs: number
  readonly data: Readonly<Record<string, unknown>>
}

export const EVENT_TYPES = [
  'request.completed',
  'request.failed',
  'rate.exceeded',
  'budget.alert',
  'budget.exceeded',
  'usage.estimated',
  'target.health_changed',
  'target.degraded',
  'target.down',
  'target.recovered',
  'target.set_aside',
  'circuit.opened',
  'circuit.half_open',
  'circuit.closed',
  'key.created',
  'key.updated',
  'key.rotated',
  'key.revoked',
  'key.rotation_due',
  'policy.updated',
  'policy.deleted',
  'alias.updated',
  'alias.deleted',
  'limit.exceeded',
  'limit.reset',
  'limit.granted',
  'config.reloaded',
  'config.rejected',
  'server.start',
  'server.stop',
  'heartbeat',
] as const
export type EventType = (typeof EVENT_TYPES)[number]

export type EventBus = {
  emit(type: EventType, data: Readonly<Record<string, unknown>>): void
  /** The same; `read` is called when somebody wants the data, or never. */
  emitUnread(type: EventType, read: () => Readonly<Record<string, unknown>>): void
  /** Events after `afterId` that are still kept, then live ones. Returns the unsubscribe function. */
  subscribe(afterId: number | null, listener: (event: GatewayEvent) => void): () => void
}
