import type { ProtocolId } from '../client.ts'
import { checkChatAnswer, checkChatStream, openAiError } from './chat.ts'
import { checkGeminiAnswer, checkGeminiStream, googleError } from './gemini.ts'
import { anthropicError, checkMessagesAnswer, checkMessagesStream } from './messages.ts'
import { checkResponsesAnswer, checkResponsesStream } from './responses.ts'
import { problemsOf, type Shape } from './shape.ts'

/** What the gateway wrote to a client. */
export type WireAnswer = {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

type Rules = {
  readonly answer: (body: unknown) => readonly string[]
  readonly stream: (text: string) => readonly string[]
  readonly error: Shape
}

const RULES: Readonly<Record<ProtocolId, Rules>> = {
  'openai-chat': { answer: checkChatAnswer, stream: checkChatStream, error: openAiError },
  'openai-responses': {
    answer: checkResponsesAnswer,
    stream: checkResponsesStream,
    error: openAiError,
  },
  'anthropic-messages': {
    answer: checkMessagesAnswer,
    stream: checkMessagesStream,
    error: anthropicError,
  },
  gemini: { answer: checkGeminiAnswer, stream: checkGeminiStream, error: googleError },
}

/** What is wrong with an answer, by the rules of the protocol that the client speaks. */
export function checkWire(protocol: ProtocolId, wire: WireAnswer): readonly string[] {
  const rules = RULES[protocol]
  if (wire.contentType.startsWith('text/event-stream')) return rules.stream(wire.body)
  const body: unknown = JSON.parse(wire.body)
  return wire.status < 400 ? rules.answer(body) : problemsOf(rules.error, body)
}
