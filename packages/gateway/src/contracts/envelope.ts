/** Bytes `[start, end)` of the request body. */
export type Span = { readonly start: number; readonly end: number }

/** A replacement of bytes. Insertions have `start === end`. */
export type ByteEdit = Span & { readonly text: string }

/** What the gateway needs to know of a request body. Everything else passes by unread. */
export type Envelope = {
  readonly model: string
  /** The JSON string of the model, quotes included. */
  readonly modelSpan: Span
  readonly stream: boolean
  /** The client's own cap on one answer; null when it gave none. Tokens. */
  readonly maxOutputTokens: number | null
  /** The cap's number, when there is one. */
  readonly maxOutputSpan: Span | null
  /** How many answers are asked for (`n`); each may use the whole cap. */
  readonly choices: number
  /** Whether the client asked for usage on the stream itself. */
  readonly streamUsage: boolean
  /** Top-level members of the body object, in the order written. */
  readonly members: ReadonlyMap<string, Span>
  /** Offset just after the body object's opening brace. */
  readonly firstMemberAt: number
  readonly sizeBytes: number
}
