/** Bytes `[start, end)` of the request body. */
export type Span = { readonly start: number; readonly end: number }

/** A replacement of bytes. Insertions have `start === end`. */
export type ByteEdit = Span & { readonly text: string }

/** The bytes that a new cap replaces (none: an insertion), and what stands before and behind its number. */
export type CapSlot = Span & { readonly before: string; readonly after: string }

/** What the gateway needs to know of a request body. Everything else passes by unread. */
export type Envelope = {
  readonly model: string
  /** The JSON string of the model, quotes included; null when the path names the model. */
  readonly modelSpan: Span | null
  readonly stream: boolean
  /** The client's own cap on one answer; null when it gave none. Tokens. */
  readonly maxOutputTokens: number | null
  /** The numbers of the caps, where there are any. */
  readonly maxOutputSpans: readonly Span[]
  /** Where a cap goes that the client did not give, when that is inside another member; absent: behind the last member. */
  readonly capSlot?: CapSlot
  /** How many answers are asked for (`n`); each may use the whole cap. */
  readonly choices: number
  /** Whether the client asked for usage on the stream itself. */
  readonly streamUsage: boolean
  /** Top-level members of the body object, in the order written. */
  readonly members: ReadonlyMap<string, Span>
  /** Offset just after the last member's value, where a new member is added without moving the prefix. */
  readonly membersEndAt: number
  readonly sizeBytes: number
  /** All values of the body. Parses it, so it is not for every request. */
  readonly values: () => Readonly<Record<string, unknown>>
}
