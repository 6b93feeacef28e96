import type { Client, ProtocolId } from './client.ts'
import type { Route } from './routes.ts'

/** Why a feature is not carried. `lost`: what `x-tollgate-loss` says. */
export type Reason = {
  readonly result: string
  readonly why: string
  /** All but what is missing was checked. */
  readonly partly?: true
}

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

const NOT_ASKED: Reason = {
  result: 'not asked for',
  partly: true,
  why: 'A chat completion cannot ask to see the thinking, and this provider shows it to who asks. The rest of the cell holds.',
}

const NOT_SHOWN: Reason = {
  result: 'not shown',
  partly: true,
  why: 'The client has no member for the text of the thinking; the rest of the cell holds.',
}

/** Whether nothing of the thinking can come, because nobody could ask for it. */
function hidesThinking(client: Client, route: Route): boolean {
  return (
    client.protocol === 'openai-chat' &&
    (route.protocol === 'openai-responses' || route.protocol === 'gemini')
  )
}

/** Null: it must work. */
export function reasonFor(client: Client, route: Route, feature: string): Reason | null {
  if (client.notShown.includes(feature)) return NOT_SHOWN
  if (feature === 'reasoning' && hidesThinking(client, route)) return NOT_ASKED
  return (
    CLIENT_LACKS[client.protocol]?.[feature] ??
    (client.protocol === route.protocol ? null : (ROUTE_LACKS[route.protocol]?.[feature] ?? null))
  )
}

export function expectedResult(client: Client, route: Route, feature: string): string {
  return reasonFor(client, route, feature)?.result ?? 'ok'
}
