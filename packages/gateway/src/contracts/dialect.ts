import type {
  Conversation,
  ConversationAnswer,
  ConversationEvent,
  ProviderRefusal,
  Signature,
} from './conversation.ts'
import type { ErrorReply, ProtocolEndpoint, SseFrame } from './protocol.ts'

/** Collects the fields of a request that the other protocol cannot carry. Shown in `x-tollgate-loss` and the record. */
export type LossList = {
  /** `field`: its path as the client wrote it, without content: `logprobs`, `messages[].name`. */
  add(field: string): void
}

/** What a rendered request may rely on at its target. */
export type RenderOptions = {
  /** The most that the target's model gives, for protocols that demand a cap. Tokens. */
  readonly maxOutputTokens: number
  /** The member by which this vendor caps output; null: the protocol's own. */
  readonly outputCapMember: string | null
  /** The vendor answers an error when it is asked for usage on a stream. */
  readonly refusesUsageOption: boolean
  /** Whether the target issued this signature, so that it may have it back. */
  readonly keeps: (signature: Signature) => boolean
  readonly losses: LossList
}

/** The client's side of one translated call. */
export type AnswerOptions = {
  /** As the client asked, with the model under the name that the client used. */
  readonly conversation: Conversation
  readonly requestId: string
  readonly createdAtMs: number
  /** Whether the client asked for usage on the stream, where its protocol lets it choose. */
  readonly streamUsage: boolean
}

/** Reads one provider's stream. */
export type StreamReader = {
  /** The steps that this frame makes. Throws nothing: a frame that cannot be read makes none. Hot. */
  read(frame: SseFrame): readonly ConversationEvent[]
}

/** Writes one client's stream. */
export type StreamWriter = {
  /** Whole frames, or `''`. Hot. */
  write(event: ConversationEvent): string
  /** The terminal frames of a whole answer, sent once the call is settled: stop reason, usage, end marker. */
  end(): string
}

/**
 * How a protocol carries a conversation. With one for each side, any protocol can be answered by any other.
 *
 * Readers list what the model cannot hold, writers what the protocol cannot say: nothing vanishes unlisted. What would
 * make the answer wrong rather than poorer (several choices, log probabilities) throws `not_translatable`.
 */
export type Dialect = {
  /** The endpoint of a provider that takes conversations. */
  endpointFor(stream: boolean): ProtocolEndpoint
  /** `request`: the values of a checked body. `model`, `stream`: from the envelope. Throws `invalid_request`. */
  readRequest(
    request: Readonly<Record<string, unknown>>,
    asked: { readonly model: string; readonly stream: boolean; readonly losses: LossList },
  ): Conversation
  /** JSON text of the body for a provider. Tool names and call ids are already fit for `toolNames` and `callIds`. */
  writeRequest(conversation: Conversation, options: RenderOptions): string
  /** Null when the body is no answer of this protocol. */
  readAnswer(body: Buffer): ConversationAnswer | null
  writeAnswer(answer: ConversationAnswer, options: AnswerOptions): string
  streamReader(): StreamReader
  streamWriter(options: AnswerOptions): StreamWriter
  readRefusal(status: number, body: Buffer): ProviderRefusal
  writeRefusal(refusal: ProviderRefusal, requestId: string): ErrorReply
  /** Which tool names and call ids the providers of this protocol take; others are mapped there and back. */
  readonly toolNames: NameRule
  readonly callIds: NameRule
  /** Whether tools that take free text exist; for others they are wrapped into functions before `writeRequest`. */
  readonly customTools: boolean
}

/** Anchored pattern and length of a name, such as `[a-zA-Z0-9_-]` up to 64. */
export type NameRule = { readonly pattern: RegExp; readonly maxChars: number }
