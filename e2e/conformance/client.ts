/** How a client speaks to the gateway, and how a provider is spoken to. */
export type ProtocolId = 'openai-chat' | 'openai-responses' | 'anthropic-messages' | 'gemini'

/** Where a client finds the gateway. `url`: without a path. */
export type Place = { readonly url: string; readonly key: string }

export type ToolOffer = {
  readonly name: string
  readonly description: string
  readonly schema: Readonly<Record<string, unknown>>
}

/** What a conversation asks for, in no client's words. */
export type Setup = {
  readonly model: string
  readonly stream: boolean
  readonly system: string | null
  readonly tools: readonly ToolOffer[]
  /** The tool that must be called. */
  readonly forced: string | null
  /** JSON Schema of the answer. */
  readonly schema: Readonly<Record<string, unknown>> | null
  readonly stop: string | null
  readonly think: boolean
}

export type Call = { readonly id: string; readonly name: string; readonly input: unknown }
type ToolResult = { readonly call: Call; readonly text: string }
export type Said =
  | { readonly from: 'user'; readonly text: string; readonly pngBase64: string | null }
  | { readonly from: 'tools'; readonly results: readonly ToolResult[] }

/** An answer as the client's own library shows it. */
export type Answer = {
  readonly text: string
  readonly thinking: string
  readonly calls: readonly Call[]
  /** In the client's own word; null: the client does not tell. */
  readonly finish: string | null
  readonly inputTokens: number | null
  readonly outputTokens: number | null
  /** How many pieces of text the client handed over. 1 without streaming. */
  readonly pieces: number
}

/** Holds the conversation in the client's own types, so that answers are given back as the client would. */
export type Session = { say(said: Said): Promise<Answer> }

/** The status and the class of what the client's library throws. */
export type TypedError = { readonly status: number | null; readonly name: string }

export type Client = {
  /** As in the matrix. */
  readonly name: string
  /** The npm package whose version is told. */
  readonly package: string
  readonly protocol: ProtocolId
  open(place: Place, setup: Setup): Session
  readError(thrown: unknown): TypedError
  /** The class of each status; clients that have one for all say it thrice. */
  readonly errors: { readonly 401: string; readonly 404: string; readonly 429: string }
  /** Features of which the client's library shows nothing, though the wire has it. */
  readonly notShown: readonly string[]
  /** The words of the client for an ordinary end and for tool calls. */
  readonly finishes: { readonly end: string | null; readonly tools: string | null }
}
