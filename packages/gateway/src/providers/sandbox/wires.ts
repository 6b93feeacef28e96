import type { SandboxProtocol } from './ask.ts'
import { chatBody, chatFrames } from './chat-wire.ts'
import { geminiBody, geminiFrames } from './gemini-wire.ts'
import { messagesBody, messagesFrames, PING } from './messages-wire.ts'
import { responsesBody, responsesFrames } from './responses-wire.ts'
import type { Frame, Turn } from './turn.ts'

/** How an answer is written in one protocol. */
type Wire = {
  readonly idPrefix: string
  readonly body: (turn: Turn) => string
  readonly frames: (turn: Turn) => Generator<Frame>
  /** What stands between frames and means nothing. */
  readonly ping: string
}

const COMMENT = ': ping\n\n'

export const WIRES: Readonly<Record<SandboxProtocol, Wire>> = {
  'openai-chat': { idPrefix: 'chatcmpl-', body: chatBody, frames: chatFrames, ping: COMMENT },
  'openai-responses': {
    idPrefix: 'resp_',
    body: responsesBody,
    frames: responsesFrames,
    ping: COMMENT,
  },
  'anthropic-messages': {
    idPrefix: 'msg_',
    body: messagesBody,
    frames: messagesFrames,
    ping: `: keep-alive\n\n${PING}`,
  },
  gemini: { idPrefix: '', body: geminiBody, frames: geminiFrames, ping: COMMENT },
}
