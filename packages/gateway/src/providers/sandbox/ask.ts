/** A tool offered by the client. */
export type Tool = { readonly name: string; readonly schema: unknown }

export type ToolChoice =
  | { readonly kind: 'auto' | 'none' | 'any' }
  | { readonly kind: 'named'; readonly name: string }

/** A request in either protocol, as far as a simulated model needs to read it. */
export type Ask = {
  readonly protocol: 'openai-chat' | 'anthropic-messages'
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
