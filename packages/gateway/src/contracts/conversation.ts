import type { ErrorKind } from '../errors/gateway-error.ts'
import type { Usage } from './usage.ts'

/**
 * What all protocols can say to each other: the smallest model that carries a conversation between them.
 *
 * Only translated calls are ever read into it; calls whose provider speaks the client's protocol stay bytes.
 * Every optional fact is `null` when the client did not state it, so that nothing is invented on the way.
 */
export type Conversation = {
  readonly model: string
  readonly system: readonly TextBlock[]
  /** Neighbours may have the same role; a protocol that needs alternation merges them. */
  readonly turns: readonly Turn[]
  readonly tools: readonly Tool[]
  readonly toolChoice: ToolChoice | null
  /** False: at most one tool call per answer. */
  readonly parallelTools: boolean | null
  readonly sampling: Sampling
  readonly maxOutputTokens: number | null
  readonly stop: readonly string[]
  readonly output: OutputFormat
  readonly reasoning: Reasoning | null
  readonly stream: boolean
  /** An id of the end user, for the provider's abuse detection. */
  readonly user: string | null
  readonly metadata: Readonly<Record<string, string>>
  readonly serviceTier: string | null
  /** A key by which the provider finds a cached prefix again (`prompt_cache_key`). */
  readonly cacheKey: string | null
  /**
   * A note of the client's dialect to itself, for the words of its answer: an older form of the protocol, say. Other
   * dialects leave it alone.
   */
  readonly clientMark?: string
}

/** `system`: an instruction in the middle of a conversation. */
export type Turn = {
  readonly role: 'user' | 'assistant' | 'system'
  readonly blocks: readonly Block[]
}

export type Block =
  | TextBlock
  | ImageBlock
  | DocumentBlock
  | AudioBlock
  | ToolCallBlock
  | ToolResultBlock
  | ThinkingBlock
  | RefusalBlock

/** A cache breakpoint after the block. `ttl` as the client wrote it (`5m`, `1h`); null: the provider's default. */
export type CacheHint = { readonly ttl: string | null }

export type TextBlock = {
  readonly type: 'text'
  readonly text: string
  readonly citations: readonly Citation[]
  readonly cache: CacheHint | null
}

/** Where a text comes from. Offsets are UTF-16 units in the text that cites; null: not stated. */
export type Citation = {
  readonly url: string | null
  readonly title: string | null
  readonly citedText: string | null
  readonly start: number | null
  readonly end: number | null
}

export type MediaSource =
  | { readonly kind: 'base64'; readonly mediaType: string; readonly data: string }
  /** The provider fetches it; the gateway never does. */
  | { readonly kind: 'url'; readonly url: string; readonly mediaType: string | null }
  | { readonly kind: 'text'; readonly text: string }
  /** An id that only the provider that gave it knows. */
  | { readonly kind: 'file'; readonly id: string }

export type ImageBlock = {
  readonly type: 'image'
  readonly source: MediaSource
  /** OpenAI's `detail`. */
  readonly detail: string | null
  readonly cache: CacheHint | null
}

export type DocumentBlock = {
  readonly type: 'document'
  readonly source: MediaSource
  /** File name or title. */
  readonly name: string | null
  readonly cache: CacheHint | null
}

export type AudioBlock = {
  readonly type: 'audio'
  /** Base64. */
  readonly data: string
  /** `wav`, `mp3` … */
  readonly format: string
}

export type ToolCallBlock = {
  readonly type: 'tool_call'
  readonly id: string
  readonly name: string
  /** The arguments as the model wrote them: JSON text, maybe broken; free text for a custom tool. `''`: none. */
  readonly input: string
  readonly custom: boolean
  /** Gemini signs calls too. */
  readonly signature: Signature | null
  readonly cache: CacheHint | null
}

export type ToolResultBlock = {
  readonly type: 'tool_result'
  readonly callId: string
  readonly content: readonly (TextBlock | ImageBlock | DocumentBlock)[]
  readonly isError: boolean
  readonly cache: CacheHint | null
}

export type ThinkingBlock = {
  readonly type: 'thinking'
  /** `''` when the provider shows none. */
  readonly text: string
  /** Opaque state of the model that thought; for a redacted block it is all there is. */
  readonly signature: Signature | null
  readonly redacted: boolean
}

export type RefusalBlock = { readonly type: 'refusal'; readonly text: string }

/**
 * A provider's opaque proof of its own thinking. Only the provider that issued it can read it.
 *
 * `origin`: name of the configured provider; null when the client holds it as its own protocol's provider gave it.
 */
export type Signature = { readonly value: string; readonly origin: string | null }

/** `custom`: takes free text instead of JSON. */
export type Tool = {
  readonly kind: 'function' | 'custom'
  readonly name: string
  readonly description: string | null
  /** JSON Schema of the arguments; null: none stated. */
  readonly schema: Readonly<Record<string, unknown>> | null
  readonly strict: boolean | null
  readonly cache: CacheHint | null
  /** What the text of a custom tool must match; absent: any text. */
  readonly grammar?: Grammar
}

/** `syntax`: `lark` or `regex`. */
export type Grammar = { readonly syntax: string; readonly definition: string }

export type ToolChoice =
  | { readonly kind: 'auto' }
  | { readonly kind: 'none' }
  | { readonly kind: 'required' }
  | { readonly kind: 'named'; readonly name: string }

export type Sampling = {
  readonly temperature: number | null
  readonly topP: number | null
  readonly topK: number | null
  readonly frequencyPenalty: number | null
  readonly presencePenalty: number | null
  readonly seed: number | null
}

export type OutputFormat =
  | { readonly kind: 'text' }
  /** Any JSON. */
  | { readonly kind: 'json' }
  | {
      readonly kind: 'schema'
      readonly name: string | null
      readonly description: string | null
      readonly schema: Readonly<Record<string, unknown>>
      readonly strict: boolean | null
    }

/** How much the model may think. An effort and a budget are two ways to say it; a client states one of them. */
export type Reasoning = {
  readonly effort: 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' | 'max' | null
  readonly budgetTokens: number | null
  /** Whether the client wants to see the thinking, or a summary of it. */
  readonly shown: boolean | null
}

/** Why a model stopped. `pause`: the caller shall send the answer back to go on. */
export type StopReason =
  | 'end'
  | 'length'
  | 'stop_sequence'
  | 'tool_use'
  | 'refusal'
  | 'content_filter'
  | 'pause'
  | 'context_overflow'
  | 'malformed_call'
  | 'other'

/** A whole answer. Its blocks are text, tool calls, thinking and refusals; some providers add images. */
export type ConversationAnswer = {
  readonly id: string
  readonly model: string
  readonly blocks: readonly Block[]
  readonly stop: StopReason
  /** The stop sequence that was met, where the provider says. */
  readonly stopSequence: string | null
  readonly usage: Usage
  readonly serviceTier: string | null
}

/**
 * A streamed answer, one step. `at` numbers the blocks from 0 in the order they opened; several may be open at once,
 * because some providers interleave parallel tool calls.
 */
export type ConversationEvent =
  | { readonly type: 'start'; readonly id: string; readonly model: string; readonly usage: Usage }
  | { readonly type: 'open'; readonly at: number; readonly block: OpenBlock }
  /** Text, thinking, a piece of a tool's arguments, or a refusal, by the kind of the block. */
  | { readonly type: 'delta'; readonly at: number; readonly text: string }
  | { readonly type: 'signature'; readonly at: number; readonly signature: Signature }
  | { readonly type: 'citation'; readonly at: number; readonly citation: Citation }
  | { readonly type: 'close'; readonly at: number }
  | { readonly type: 'stop'; readonly stop: StopReason; readonly stopSequence: string | null }
  /** The latest statement of the usage; it replaces earlier ones. */
  | { readonly type: 'usage'; readonly usage: Usage }
  | { readonly type: 'error'; readonly refusal: ProviderRefusal }

export type OpenBlock =
  | { readonly type: 'text' }
  | { readonly type: 'thinking'; readonly redacted: boolean }
  | {
      readonly type: 'tool_call'
      readonly id: string
      readonly name: string
      readonly custom: boolean
      readonly signature: Signature | null
    }
  | { readonly type: 'refusal' }
  /** Whole at once: no deltas follow. */
  | { readonly type: 'image'; readonly source: MediaSource }

/** What a provider's refusal means, so that another protocol can say it in its own words. */
export type ProviderRefusal = {
  readonly status: number
  readonly kind: ErrorKind | 'context_overflow' | 'content_filter'
  /** The provider's own words, bounded. */
  readonly message: string
  /** The provider's own code or type; null: none. */
  readonly code: string | null
  /** How long its body asks to be left alone; absent: it does not say. */
  readonly retryAfterMs?: number
}
