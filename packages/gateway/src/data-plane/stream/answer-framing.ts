import type { ProtocolEndpoint } from '../../contracts/protocol.ts'

type Framing = ProtocolEndpoint['framing']

const STREAM_TYPES: Readonly<Record<Exclude<Framing, 'raw'>, string>> = {
  sse: 'text/event-stream',
  'aws-event-stream': 'application/vnd.amazon.eventstream',
}

/**
 * How the answer to a request for a stream came, by its content type. `whole`: not as a stream, which the endpoint
 * allows; null: as nothing that it knows.
 */
export function framingOf(
  endpoint: ProtocolEndpoint,
  contentType: string,
): Framing | 'whole' | null {
  const type = contentType.toLowerCase()
  if (endpoint.framing === 'raw') return rawFramingOf(type)
  if (type.startsWith(STREAM_TYPES[endpoint.framing])) return endpoint.framing
  return endpoint.mayAnswerWhole === true ? 'whole' : null
}

/** Bytes of any kind, or events that hold them. A page is never what was asked for. */
function rawFramingOf(type: string): Framing | 'whole' | null {
  if (type.startsWith(STREAM_TYPES.sse)) return 'sse'
  if (type.startsWith('application/json')) return 'whole'
  return type.startsWith('text/html') ? null : 'raw'
}
