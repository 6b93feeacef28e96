import type { Ask } from './ask.ts'
import type { Behaviour, OddBody } from './behaviour.ts'
import { errorBody, errorFrame, simulated } from './vendor-errors.ts'

export type OddAnswer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const JSON_TYPE = { 'content-type': 'application/json' }
const PAGE =
  '<!doctype html><html><head><title>Sandbox</title></head><body>A page, not an API.</body></html>'

type Make = (ask: Ask, requestId: string) => Omit<OddAnswer, 'status'>

const MAKERS: Readonly<Record<OddBody, Make>> = {
  'error-in-200': (ask, requestId) =>
    ask.stream
      ? {
          headers: { 'content-type': 'text/event-stream' },
          body: errorFrame(ask.protocol, requestId),
        }
      : { headers: JSON_TYPE, body: errorBody(ask.protocol, simulated(500, false), requestId) },
  redirect: () => ({ headers: { ...JSON_TYPE, location: '/sandbox/moved' }, body: '{}' }),
  'not-json': () => ({ headers: JSON_TYPE, body: 'upstream connect error or disconnect' }),
  html: () => ({ headers: { 'content-type': 'text/html; charset=utf-8' }, body: PAGE }),
}

/** An answer that is no answer. Nothing is billed for it. */
export function oddAnswer(
  kind: OddBody,
  behaviour: Behaviour,
  ask: Ask,
  requestId: string,
): OddAnswer {
  return { status: behaviour.oddStatus, ...MAKERS[kind](ask, requestId) }
}
