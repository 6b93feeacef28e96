import type { Protocol, ProtocolEndpoint, RequestWrapper } from '../../contracts/protocol.ts'

/** `pathModel`: the model that the path names, where it does. `wrapper`: what the request is inside of; null: nothing. */
export type ServedEndpoint = {
  readonly protocol: Protocol
  readonly endpoint: ProtocolEndpoint
  readonly pathModel: string | undefined
  readonly wrapper: RequestWrapper | null
}

/** A path with `{model}` in it: `/v1beta/models/{model}:generateContent`. */
type ModelPath = {
  readonly before: string
  readonly after: string
  readonly protocol: Protocol
  readonly endpoint: ProtocolEndpoint
}

const MODEL_PLACE = '{model}'

/** Exact paths only: a trailing slash, another case or an escape is another path, and that is not served. */
export class EndpointTable {
  private readonly byPath = new Map<string, ServedEndpoint>()
  private readonly byModelPath: ModelPath[] = []
  private readonly protocols: readonly Protocol[]

  constructor(protocols: readonly Protocol[]) {
    this.protocols = protocols
    for (const protocol of protocols) {
      for (const endpoint of protocol.endpoints) this.add(protocol, endpoint)
      for (const wrapper of protocol.wrappers ?? []) {
        const { endpoint, path } = wrapper
        this.byPath.set(path, { protocol, endpoint, pathModel: undefined, wrapper })
      }
    }
  }

  find(path: string): ServedEndpoint | null {
    return this.byPath.get(path) ?? this.findByModel(path)
  }

  /** For paths that several protocols share, and for errors before a path is known: told by a header of their own. */
  protocolOf(fields: readonly string[], path: string): Protocol {
    const served = this.find(path)
    if (served !== null) return served.protocol
    for (const protocol of this.protocols) if (isModelsPath(protocol, path)) return protocol
    for (const protocol of this.protocols) {
      if (protocol.marks.some((mark) => hasField(fields, mark))) return protocol
    }
    const [first] = this.protocols
    if (first === undefined) throw new TypeError('This build has no protocol.')
    return first
  }

  private add(protocol: Protocol, endpoint: ProtocolEndpoint): void {
    const [before = '', after] = endpoint.path.split(MODEL_PLACE)
    if (after === undefined) {
      this.byPath.set(endpoint.path, { protocol, endpoint, pathModel: undefined, wrapper: null })
    } else {
      this.byModelPath.push({ before, after, protocol, endpoint })
    }
  }

  private findByModel(path: string): ServedEndpoint | null {
    for (const { before, after, protocol, endpoint } of this.byModelPath) {
      if (!path.startsWith(before) || !path.endsWith(after)) continue
      const pathModel = decoded(path.slice(before.length, path.length - after.length))
      if (pathModel !== '') return { protocol, endpoint, pathModel, wrapper: null }
    }
    return null
  }
}

/** Whether a path is the protocol's own list of models, or one of them. */
export function isModelsPath({ modelsPath }: Protocol, path: string): boolean {
  return modelsPath !== undefined && (path === modelsPath || path.startsWith(`${modelsPath}/`))
}

/** Names with slashes come literal or encoded. What is not validly encoded is read as it stands. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function hasField(fields: readonly string[], name: string): boolean {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return true
  return false
}
