import type { Client, ProtocolId } from './client.ts'
import type { Route } from './routes.ts'

/** Why a feature is not carried. `lost`: what `x-tollgate-loss` says. */
export type Reason = { readonly result: string; readonly why: string }

type Reasons = Readonly<Partial<Record<ProtocolId, Readonly<Record<string, Reason>>>>>

/** What a client's protocol has no word for. */
const CLIENT_LACKS: Reasons = {
  'openai-responses': {
    stop: { result: 'not in the protocol', why: 'The Responses API has no stop sequences.' },
  },
}

/** What a provider's protocol has no word for. */
const ROUTE_LACKS: Reasons = {
  'openai-responses': {
    stop: {
      result: 'lost: stop',
      why: 'The Responses API has no stop sequences; the loss is told in `x-tollgate-loss`.',
    },
  },
}

const NOT_SHOWN: Reason = {
  result: 'not shown',
  why: 'The client has no member for the text of the thinking; the rest of the cell holds.',
}

/** Null: it must work. */
export function reasonFor(client: Client, route: Route, feature: string): Reason | null {
  if (client.notShown.includes(feature)) return NOT_SHOWN
  return (
    CLIENT_LACKS[client.protocol]?.[feature] ??
    (client.protocol === route.protocol ? null : (ROUTE_LACKS[route.protocol]?.[feature] ?? null))
  )
}

export function expectedResult(client: Client, route: Route, feature: string): string {
  return reasonFor(client, route, feature)?.result ?? 'ok'
}
