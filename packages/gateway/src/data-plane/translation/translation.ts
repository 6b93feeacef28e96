import type {
  Conversation,
  ConversationAnswer,
  ConversationEvent,
  OpenBlock,
  Signature,
} from '../../contracts/conversation.ts'
import type { AnswerOptions, Dialect, StreamReader, StreamWriter } from '../../contracts/dialect.ts'
import type { ErrorReply, Protocol, ProtocolEndpoint, SseFrame } from '../../contracts/protocol.ts'
import type { Usage } from '../../contracts/usage.ts'
import type { CustomTools } from '../../protocols/translation/custom-tools.ts'

export type TranslationParts = {
  readonly client: Dialect
  readonly upstream: Dialect
  readonly upstreamProtocol: Protocol
  readonly endpoint: ProtocolEndpoint
  readonly body: Buffer
  readonly losses: readonly string[]
  /** As the client asked. */
  readonly conversation: Conversation
  readonly clientName: (name: string) => string
  readonly customTools: CustomTools | null
  /** Stamped on signatures, so that only this provider gets them back. */
  readonly providerName: string
  readonly requestId: string
  readonly createdAtMs: number
  readonly streamUsage: boolean
}

/** One attempt at a target that speaks another protocol than the client: what is sent, and how its answer is told. */
export class Translation {
  readonly endpoint: ProtocolEndpoint
  readonly upstreamProtocol: Protocol
  readonly body: Buffer
  /** What the target cannot be told. */
  readonly losses: readonly string[]
  private readonly parts: TranslationParts

  constructor(parts: TranslationParts) {
    this.parts = parts
    this.endpoint = parts.endpoint
    this.upstreamProtocol = parts.upstreamProtocol
    this.body = parts.body
    this.losses = parts.losses
  }

  /** Null when the upstream's body is no answer of its protocol. */
  answer(body: Buffer): Buffer | null {
    const { client, upstream, customTools } = this.parts
    const read = upstream.readAnswer(body)
    if (read === null) return null
    const named = this.nameAnswer(read)
    const answer = customTools === null ? named : customTools.unwrapAnswer(named)
    return Buffer.from(client.writeAnswer(answer, this.answerOptions()))
  }

  refusal(status: number, body: Buffer): ErrorReply {
    const { client, upstream, requestId } = this.parts
    return client.writeRefusal(upstream.readRefusal(status, body), requestId)
  }

  stream(): TranslatedStream {
    const { client, upstream, customTools } = this.parts
    const unwrap = customTools?.streamUnwrapper() ?? null
    return new TranslatedStream({
      reader: upstream.streamReader(),
      writer: client.streamWriter(this.answerOptions()),
      toClient: (event) => this.nameEvent(event),
      unwrap,
    })
  }

  private answerOptions(): AnswerOptions {
    const { conversation, requestId, createdAtMs, streamUsage } = this.parts
    return { conversation, requestId, createdAtMs, streamUsage }
  }

  private nameAnswer(answer: ConversationAnswer): ConversationAnswer {
    const blocks = answer.blocks.map((block) => {
      if (block.type === 'thinking') return { ...block, signature: this.stamp(block.signature) }
      if (block.type !== 'tool_call') return block
      const name = this.parts.clientName(block.name)
      return { ...block, name, signature: this.stamp(block.signature) }
    })
    return { ...answer, blocks }
  }

  private nameEvent(event: ConversationEvent): ConversationEvent {
    if (event.type === 'signature') {
      return { ...event, signature: { ...event.signature, origin: this.parts.providerName } }
    }
    return event.type === 'open' ? { ...event, block: this.nameOpen(event.block) } : event
  }

  private nameOpen(block: OpenBlock): OpenBlock {
    if (block.type !== 'tool_call') return block
    const name = this.parts.clientName(block.name)
    return { ...block, name, signature: this.stamp(block.signature) }
  }

  private stamp(signature: Signature | null): Signature | null {
    return signature === null ? null : { ...signature, origin: this.parts.providerName }
  }
}

type StreamParts = {
  readonly reader: StreamReader
  readonly writer: StreamWriter
  readonly toClient: (event: ConversationEvent) => ConversationEvent
  readonly unwrap: ((event: ConversationEvent) => readonly ConversationEvent[]) | null
}

/** Turns an upstream's frames into a client's. Hot: `frame` runs for every frame. */
export class TranslatedStream {
  private readonly parts: StreamParts

  constructor(parts: StreamParts) {
    this.parts = parts
  }

  /** Whole frames for the client; `''` when this one has nothing for it. */
  frame(frame: SseFrame): string {
    const { reader, writer, toClient, unwrap } = this.parts
    let text = ''
    for (const event of reader.read(frame)) {
      const named = toClient(event)
      if (unwrap === null) text += writer.write(named)
      else for (const one of unwrap(named)) text += writer.write(one)
    }
    return text
  }

  /** The terminal frames. `usage`: as it was settled, which may be counted here where the provider said nothing. */
  end(usage: Usage): string {
    const { writer } = this.parts
    return writer.write({ type: 'usage', usage }) + writer.end()
  }

  /** The terminal frames of an answer that the gateway ends at its length. */
  endAtLength(usage: Usage): string {
    const { writer } = this.parts
    return writer.write({ type: 'stop', stop: 'length', stopSequence: null }) + this.end(usage)
  }
}
