import { EVENT_TYPES } from '../contracts/event.ts'
import { didYouMean } from '../lib/did-you-mean.ts'
import { AdminError } from './admin-error.ts'
import { rawRoute, type AdminRoute } from './admin-route.ts'
import { eventStream } from './event-stream.ts'
import { eventQuery } from './request-schemas.ts'

const MOST_LISTENERS = 100

export type EventRouteOptions = {
  readonly heartbeatMs?: number
  readonly closing?: AbortSignal
}

/** A function, because how often to send heartbeats and when to end are the app's. */
export function eventRoutes(options: EventRouteOptions): readonly AdminRoute[] {
  let listeners = 0
  return [
    rawRoute({
      method: 'GET',
      path: '/events',
      summary: 'What happens, as server-sent events; `Last-Event-ID` replays what was missed',
      query: eventQuery,
      answerType: 'text/event-stream',
      handle({ control, query, header }) {
        const afterId = lastEventId(header('last-event-id') ?? query.last_event_id ?? null)
        const types = query.type === undefined ? null : eventTypes(query.type)
        if (listeners >= MOST_LISTENERS) {
          throw new AdminError('too_many_listeners', `${MOST_LISTENERS} listeners are connected.`)
        }
        listeners++
        const body = eventStream(control.events, {
          afterId,
          types,
          heartbeatMs: options.heartbeatMs,
          closing: options.closing,
          onEnd: () => void listeners--,
        })
        return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
      },
    }),
  ]
}

function lastEventId(text: string | null): number | null {
  if (text === null || text === '') return null
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new AdminError('invalid_request', 'Last-Event-ID must be the id of an event.', {
    path: 'last_event_id',
  })
}

function eventTypes(list: string): ReadonlySet<string> {
  const types = list.split(',').map((type) => type.trim())
  const unknown = types.find((type) => !EVENT_TYPES.some((known) => known === type))
  if (unknown === undefined) return new Set(types)
  const problem = `unknown event type "${unknown}"${didYouMean(unknown, EVENT_TYPES)}`
  throw new AdminError('invalid_request', `type: ${problem}`, { path: 'type' })
}
