import type { Protocol, ProtocolEndpoint } from '../../contracts/protocol.ts'

export type ServedEndpoint = { readonly protocol: Protocol; readonly endpoint: ProtocolEndpoint }

/** Exact paths only: a trailing slash, another case or an escape is another path, and that is not served. */
export class EndpointTable {
  private readonly byPath = new Map<string, ServedEndpoint>()
  private readonly protocols: readonly Protocol[]

  constructor(protocols: readonly Protocol[]) {
    this.protocols = protocols
    for (const protocol of protocols) {
      for (const endpoint of protocol.endpoints) {
        this.byPath.set(endpoint.path, { protocol, endpoint })
      }
    }
  }

  find(path: string): ServedEndpoint | null {
    return this.byPath.get(path) ?? null
  }

  /** For paths that several protocols share, and for errors before a path is known: told by a header of their own. */
  protocolOf(fields: readonly string[], path: string): Protocol {
    const served = this.byPath.get(path)
    if (served !== undefined) return served.protocol
    for (const protocol of this.protocols) {
      if (protocol.marks.some((mark) => hasField(fields, mark))) return protocol
    }
    const [first] = this.protocols
    if (first === undefined) throw new TypeError('This build has no protocol.')
    return first
  }
}

function hasField(fields: readonly string[], name: string): boolean {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return true
  return false
}
