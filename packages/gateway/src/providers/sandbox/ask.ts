/** A tool offered by the client. `custom`: it takes free text. */
export type Tool = { readonly name: string; readonly schema: unknown; readonly custom?: boolean }

export type ToolChoice =
  | { readonly kind: 'auto' | 'none' | 'any' }
  | { readonly kind: 'named'; readonly name: string }

/** The protocols that the sandbox speaks. */
export type SandboxProtocol = 'openai-chat' | 'openai-responses' | 'anthropic-messages' | 'gemini'

/** A request in any of them, as far as a simulated model needs to read it. */
export type Ask = {
  readonly protocol: SandboxProtocol
  readonly model: string
  readonly stream: boolean
  /** Everything that is input, in order, tools included. */
  readonly texts: readonly string[]
  readonly messageCount: number
  readonly imageCount: number
  readonly lastUserText: string
  /** Tool results after the last user text: how far a script has come. */
  readonly toolResults: number
  readonly tools: readonly Tool[]
  readonly toolChoice: ToolChoice
  /** Null: no cap was given. */
  readonly maxTokens: number | null
  readonly stop: readonly string[]
  readonly choices: number
  /** `stream_options.include_usage`. */
  readonly streamUsage: boolean
  /** `undefined`: text; `null`: any JSON object; else a JSON schema. */
  readonly jsonSchema: unknown
  /** Whether the text of the thinking is told. */
  readonly showsReasoning: boolean
  /** Whether the state of the thinking is told, for who gives it back. */
  readonly tellsState: boolean
  /**
   * The place of a tool call since the last user text that came back without the proof of its thinking. A model that
   * thinks refuses it. Null: none.
   */
  readonly unprovenCall: string | null
}

/** A request that the vendor would refuse with 400. */
export class BadAsk extends Error {
  override readonly name = 'BadAsk'
  readonly param: string | null

  constructor(message: string, param: string | null = null) {
    super(message)
    this.param = param
  }
}
