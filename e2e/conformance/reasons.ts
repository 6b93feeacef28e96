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
  why: 'The client has no member for the text of the thinking. The rest of the cell holds.',
}

const NOT_GIVEN_BACK: Reason = {
  result: 'not given back',
  partly: true,
  why: 'The client shows the thinking, but does not give its proof (`reasoning_details`) back with a streamed answer. The provider then answers the tool result without thinking, and `x-tollgate-loss` says `messages[].thinking`.',
}

/** Whether the text of the thinking can come: someone could ask for it, and the client has a place for it. */
export function showsThinking(client: Client, { protocol }: Route): boolean {
  const asked = client.protocol !== 'openai-chat' || SHOWN_UNASKED.has(protocol)
  return asked && !client.notShown.includes('reasoning')
}

const SHOWN_UNASKED: ReadonlySet<ProtocolId> = new Set(['openai-chat', 'anthropic-messages'])

/** Clients of chat completions keep the ids of calls, in which Gemini's proof travels, and little else. */
export function givesProofBack(client: Client, { protocol }: Route): boolean {
  return client.protocol !== 'openai-chat' || protocol === 'gemini'
}

/** Null: it must work. */
export function reasonFor(client: Client, route: Route, feature: string): Reason | null {
  if (feature === 'reasoning') return reasoningReason(client, route)
  const translated = client.protocol !== route.protocol
  return (
    CLIENT_LACKS[client.protocol]?.[feature] ??
    (translated ? (ROUTE_LACKS[route.protocol]?.[feature] ?? null) : null)
  )
}

function reasoningReason(client: Client, route: Route): Reason | null {
  if (client.notShown.includes('reasoning')) return NOT_SHOWN
  if (!showsThinking(client, route)) return NOT_ASKED
  return givesProofBack(client, route) || route.protocol === 'openai-chat' ? null : NOT_GIVEN_BACK
}

export function expectedResult(client: Client, route: Route, feature: string): string {
  return reasonFor(client, route, feature)?.result ?? 'ok'
}
