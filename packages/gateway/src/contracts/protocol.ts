import type { GatewayError } from '../errors/gateway-error.ts'
import type { Dialect } from './dialect.ts'
import type { Endpoint } from './endpoint.ts'
import type { ByteEdit, Envelope } from './envelope.ts'
import type { LimitState } from './limit.ts'
import type { Needs, RouteDecision, RoutingHints } from './routing.ts'
import type { Usage } from './usage.ts'

/** The texts of a request that are input, and what the rest of it may cost at most. */
export type InputParts = {
  readonly texts: readonly string[]
  /** Tokens for roles, separators and tool scaffolding: an upper bound. */
  readonly overheadTokens: number
  /** Images, audio and files: an upper bound by the vendor's formula. */
  readonly mediaTokens: number
}

/** A text that a policy puts into every request, in the protocol's own place for its role. */
export type Prompt = {
  readonly role: 'system' | 'developer' | 'user' | 'assistant'
  readonly content: string
  /** Before or behind what the client wrote in that place. */
  readonly position: 'start' | 'end'
}

/** What the gateway reads of a whole (not streamed) answer. */
export type AnswerFacts = {
  readonly usage: Usage
  readonly servedModel: string | null
  /** All the model's text, for counting when the provider reported no usage. Computed on demand. */
  readonly text: () => string
  /** Some vendors answer 200 with an error object. */
  readonly failed: boolean
}

/**
 * What a tap says of one SSE frame. `end`: the protocol's terminal frame, held back until the call is settled. `idle`: it
 * only keeps the connection open, so it is no sign that the answer has begun, or goes on.
 */
export type FrameVerdict = 'pass' | 'drop' | 'end' | 'idle'

/** One complete SSE frame inside a chunk: the bytes `[start, end)`, its blank line included. */
export type SseFrame = {
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
}

/** Watches one stream. It never changes bytes. Hot: `readFrame` runs for every frame. */
export type StreamTap = {
  readFrame(frame: SseFrame): FrameVerdict
  /** The protocol's own evidence of a whole answer was seen. */
  complete(): boolean
  /** An error event was seen inside the stream. */
  failed(): boolean
  usage(): Usage
  servedModel(): string | null
  /** Frames that carried output. Each is at least one token. */
  outputFrames(): number
  /** Output seen so far (bounded), for counting when usage never came. */
  outputText(): string
}

/** A text of a conversation: where it stands in the body as a string of JSON, quotes included. */
export type BodyText = {
  readonly start: number
  readonly end: number
  /** A user wrote it, not a tool, a document, a model or the operator. */
  readonly fromUser: boolean
}

export type ErrorReply = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Throws `invalid_request` when what stands in the place is neither absent nor of a known form. */
type AddPrompts = (
  body: Buffer,
  envelope: Envelope,
  prompts: readonly Prompt[],
) => readonly ByteEdit[]

/** Bodies of another protocol that clients post to an endpoint too. `unless`: a member that only its own bodies have. */
export type AlsoTakes = { readonly protocol: string; readonly unless: string }

/** One endpoint in one protocol: how it is asked for, read, edited and watched. */
export type ProtocolEndpoint = {
  readonly endpoint: Endpoint
  readonly method: 'POST'
  /**
   * What clients post to, and (from the version on) what is appended to a provider's base URL. `{model}` stands for a model
   * name, which may hold slashes, encoded or not.
   */
  readonly path: string
  /** What the upstream's URL needs besides, such as `?alt=sse`; empty when nothing. */
  readonly query: string
  readonly streams: boolean
  /** Whole documents travel inside the body, so that the larger body cap applies. */
  readonly carriesDocuments: boolean
  /** False for endpoints that spend nothing, such as token counting. */
  readonly billed: boolean
  /** A target that speaks another protocol may answer: requests are conversations, so the protocol's dialect reads them. */
  readonly translated: boolean
  /** How an upstream's stream is framed. `raw`: not at all, such as audio; every chunk passes, and the body's end is the end. */
  readonly framing: 'sse' | 'aws-event-stream' | 'raw'
  /** Some models answer whole although a stream was asked for. Absent: that is a failure. */
  readonly mayAnswerWhole?: boolean
  /**
   * Input or output is not text (images, sound): no cap can be put on it, and what the provider does not report of its
   * usage cannot be counted here, so that the cost is unknown. Absent: it is text.
   */
  readonly media?: boolean
  /**
   * Throws `malformed_json` or `invalid_request`. `maxDepth`: the deepest nesting that is read. `pathModel`: the model of
   * a path with `{model}`. Hot.
   */
  readEnvelope(body: Buffer, maxDepth: number, pathModel?: string): Envelope
  /**
   * Reads a `multipart/form-data` body instead; absent: forms are refused. `boundary`: of the header. Throws
   * `invalid_request`.
   */
  readonly readForm?: (body: Buffer, boundary: string) => Envelope
  /** Bodies that are none of its own, but are answered as if they were. */
  readonly alsoTakes?: AlsoTakes
  /** An upper bound of the input tokens from the size alone; null when the request may hold media. Hot. */
  boundInput(body: Buffer): number | null
  /**
   * What the request needs of a model, besides a stream. Absent: nothing that is known. Asked only where a target is known
   * to lack something.
   */
  readonly readNeeds?: (body: Buffer, envelope: Envelope) => Omit<Needs, 'streaming'>
  /** Every text of the request that the model will read. */
  readInput(envelope: Envelope): InputParts
  /** Where the texts of the conversation stand, in the order of the body. Absent: it is none. */
  readonly findTexts?: (body: Buffer, envelope: Envelope) => readonly BodyText[]
  /** Asks for an answer by a JSON schema. Throws `invalid_request` when a form is asked for already. Absent: nothing can. */
  readonly askForSchema?: (body: Buffer, envelope: Envelope, schema: string) => readonly ByteEdit[]
  /** Null when the model's name is not in the body. */
  renameModel(envelope: Envelope, model: string): ByteEdit | null
  /** Puts an output cap on the request, by the member that the provider knows (null: the protocol's own). */
  capOutput(envelope: Envelope, tokens: number, member: string | null): readonly ByteEdit[]
  /** Puts prompts into the request; every byte that the client wrote stays. Null: this endpoint takes none. */
  readonly addPrompts: AddPrompts | null
  /** Asks the provider to report usage at the end of a stream; null when it does so unasked, or was asked already. */
  askForUsage(body: Buffer, envelope: Envelope): ByteEdit | null
  /** Null when the body is not an answer of this endpoint. */
  readAnswer(body: Buffer): AnswerFacts | null
  /** Absent: what no target can count is refused. Else the answer that tells the gateway's own count of the input. */
  readonly renderCount?: (inputTokens: number) => string
  startTap(options: TapOptions): StreamTap
  /** Absent: a stream of this endpoint cannot be ended early as a whole one. */
  readonly startLengthStop?: (options: LengthStopOptions) => LengthStop
}

export type LengthStopOptions = { readonly choices: number; readonly streamUsage: boolean }

/** Follows a stream that the gateway may have to end at its length, so that what has begun is ended properly. */
export type LengthStop = {
  /** Every frame that the client gets. */
  readFrame(frame: SseFrame): void
  /** The last frames, as if the provider had met its output cap. */
  render(usage: Usage): string
}

export type TapOptions = {
  /** The usage frame was asked for by the gateway, not by the client. */
  readonly dropUsage: boolean
  /** How many answers were asked for; absent: one. */
  readonly choices?: number
  /** How the answer came, where the endpoint's own framing does not say; absent: as it says. */
  readonly framing?: ProtocolEndpoint['framing']
}

/** What a wrapped request is told of its answer. */
export type WrapFacts = {
  /** The provider's name of the model that answered. */
  readonly model: string
  /** Null: unpriced. Integer nano-US-dollars. */
  readonly costNanoUsd: number | null
  /** Why this model. */
  readonly reason: RouteDecision['reason']
  /** Of the target that answered. */
  readonly weight: number
}

/** A request of another endpoint inside an envelope: it is taken out, served as any other, and its answer put into one. */
export type RequestWrapper = {
  readonly path: string
  readonly endpoint: ProtocolEndpoint
  /** Throws `malformed_json` or `invalid_request`. `body`: the bytes of the request inside. */
  open(body: Buffer, maxDepth: number): OpenedRequest
}

export type OpenedRequest = {
  readonly body: Buffer
  /** What the envelope asks of the choice of a target; null: nothing. */
  readonly hints: RoutingHints | null
  /** Throws `upstream_invalid`. */
  close(answer: Buffer, facts: WrapFacts): Buffer
}

/** A wire format. One folder under protocols/, one line in registry.ts. */
export type Protocol = {
  readonly id: string
  readonly endpoints: readonly ProtocolEndpoint[]
  /** Absent: none. */
  readonly wrappers?: readonly RequestWrapper[]
  /** How this protocol is translated; null: it is only passed on. */
  readonly dialect: Dialect | null
  /** Headers that only clients of this protocol send; they choose the shape on paths that protocols share. */
  readonly marks: readonly string[]
  /** Query parameter by which this protocol's clients may present their key, on its own paths only; absent: none. */
  readonly credentialQuery?: string
  /** Names of the client's query that pass on to the provider; absent: all but those that the gateway withholds. */
  readonly forwardedQuery?: readonly string[]
  /** Where this protocol's clients list models, besides `/v1/models`; a model's id follows after a slash. */
  readonly modelsPath?: string
  /** Headers of the request that this protocol's clients send and its providers understand: exact names or `prefix*`. */
  readonly forwardedHeaders: readonly string[]
  /** Names among them that stay here, since they choose who pays on the operator's credential; absent: none. */
  readonly withheldHeaders?: readonly string[]
  renderError(error: GatewayError, requestId: string): ErrorReply
  /** An error after the first byte: a whole SSE frame. */
  renderStreamError(error: GatewayError, requestId: string): string
  /** A whole frame that clients ignore. */
  readonly keepAliveFrame: string
  /** The vendor's own rate headers, from the tightest limits: names and values in turn. Hot. */
  limitHeaders(states: readonly LimitState[], nowMs: number): readonly string[]
  /** `GET /v1/models` and `/v1/models/{id}` in this protocol's shape. */
  renderModels(models: readonly ModelListing[]): string
  renderModel(model: ModelListing): string
  /** How a provider is asked for the models that it has; absent: this protocol has no list of them. */
  readonly modelList?: ModelList
  /** Where answers say what is left of the vendor's own limits, in calls first; absent: they do not. */
  readonly rateHeaders?: readonly RateHeaders[]
  /** Header by which official clients say how often they have made this call before; absent: they do not. */
  readonly retryCountHeader?: string
  /** Upstream response header that names the upstream's request id. */
  readonly requestIdHeader: string
}

/** Names of response headers. `reset`: seconds, a duration such as `1m30.951s`, or a time. */
export type RateHeaders = {
  readonly unit: 'requests' | 'tokens'
  readonly remaining: string
  readonly reset: string
}

export type ModelList = {
  readonly path: string
  /** Of the first page: `?limit=1000`, or empty. */
  readonly query: string
  /** Null when the body is no such list. `next`: the query of the next page; null after the last one. */
  read(body: Buffer): { readonly ids: readonly string[]; readonly next: string | null } | null
}

export type ModelListing = {
  readonly id: string
  readonly ownedBy: string
  readonly createdAtMs: number
}
