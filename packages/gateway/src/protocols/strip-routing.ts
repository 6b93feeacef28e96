import type { ByteEdit, Envelope, Span } from '../contracts/envelope.ts'

/**
 * Members by which some upstreams (proxies among them) let a request choose the host or the credential.
 *
 * They are for client libraries, never for a provider; passed on, they could send a provider's key elsewhere.
 */
const ROUTING_MEMBERS: ReadonlySet<string> = new Set([
  'api_base',
  'base_url',
  'api_key',
  'custom_llm_provider',
  'extra_headers',
  'extra_body',
])

export function isRoutingMember(name: string): boolean {
  return ROUTING_MEMBERS.has(name)
}

/** Cuts routing members out of the body; null when it has none, as ever with real clients. Hot. */
export function stripRouting(body: Buffer, envelope: Envelope): readonly ByteEdit[] | null {
  let found = false
  for (const name of ROUTING_MEMBERS) found ||= envelope.members.has(name)
  return found ? cuts(body, [...envelope.members]) : null
}

/** One cut for each run of neighbours, from a key to the next kept key, or at the end from the last kept value. */
function cuts(body: Buffer, members: readonly (readonly [string, Span])[]): readonly ByteEdit[] {
  const edits: ByteEdit[] = []
  let keptEnd = -1
  let cutFrom = -1
  for (const [name, span] of members) {
    const keyStart = startOfKey(body, span.start)
    if (ROUTING_MEMBERS.has(name)) {
      if (cutFrom === -1) cutFrom = keyStart
      continue
    }
    if (cutFrom !== -1) edits.push({ start: cutFrom, end: keyStart, text: '' })
    cutFrom = -1
    keptEnd = span.end
  }
  const end = members.at(-1)?.[1].end ?? 0
  if (cutFrom !== -1) edits.push({ start: keptEnd === -1 ? cutFrom : keptEnd, end, text: '' })
  return edits
}

/** The opening quote of the key before a value. A key of ours holds no quote, and another one's are escaped. */
function startOfKey(body: Buffer, valueStart: number): number {
  const colon = body.lastIndexOf(0x3a, valueStart - 1)
  const closing = body.lastIndexOf(0x22, colon)
  let quote = body.lastIndexOf(0x22, closing - 1)
  while (isEscaped(body, quote)) quote = body.lastIndexOf(0x22, quote - 1)
  return quote
}

function isEscaped(body: Buffer, quote: number): boolean {
  let at = quote
  while (body[at - 1] === 0x5c) at--
  return (quote - at) % 2 === 1
}
