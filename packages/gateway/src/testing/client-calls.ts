import type { Asked } from './data-plane-harness.ts'
import { fixture } from './tap-replay.ts'

const FOLDER = new URL('../protocols/', import.meta.url)

/** One client protocol: how it asks, what it takes for a whole end and for a failure, and what its providers answer. */
export type ClientCalls = {
  readonly path: string
  readonly whole: Asked
  readonly stream: Asked
  /** The mark of a whole stream. */
  readonly end: RegExp
  /** The mark of a stream that failed. */
  readonly failure: RegExp
  /** A recorded stream of a provider. */
  readonly sse: Buffer
  readonly answer: Buffer
}

const GEMINI_ANSWER = Buffer.from(
  '{"candidates":[{"content":{"parts":[{"text":"hello"}],"role":"model"},"finishReason":"STOP"}],' +
    '"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5}}',
)
const MESSAGES = '"messages":[{"role":"user","content":"hi"}]'
const CONTENTS = '{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}'

function recorded(id: string, name: string): Buffer {
  return fixture(new URL(`${id}/`, FOLDER), name)
}

/** Every protocol that clients speak, by its id. */
export const CLIENT_CALLS: Readonly<Record<ClientId, ClientCalls>> = {
  'openai-chat': {
    path: '/v1/chat/completions',
    whole: { body: `{"model":"m",${MESSAGES}}` },
    stream: { body: `{"model":"m","stream":true,${MESSAGES}}` },
    end: /^data: \[DONE\]/m,
    failure: /^data: \{"error":/m,
    sse: recorded('openai-chat', 'text.sse'),
    answer: recorded('openai-chat', 'whole.json'),
  },
  'openai-responses': {
    path: '/v1/responses',
    whole: { path: '/v1/responses', body: '{"model":"m","input":"hi"}' },
    stream: { path: '/v1/responses', body: '{"model":"m","stream":true,"input":"hi"}' },
    end: /^event: response\.(?:completed|incomplete)/m,
    failure: /^event: (?:error|response\.failed)/m,
    sse: recorded('openai-responses', 'text.sse'),
    answer: recorded('openai-responses', 'whole.json'),
  },
  'anthropic-messages': {
    path: '/v1/messages',
    whole: { path: '/v1/messages', body: `{"model":"m","max_tokens":9,${MESSAGES}}` },
    stream: {
      path: '/v1/messages',
      body: `{"model":"m","max_tokens":9,"stream":true,${MESSAGES}}`,
    },
    end: /^event: message_stop/m,
    failure: /^event: error/m,
    sse: recorded('anthropic-messages', 'text.sse'),
    answer: recorded('anthropic-messages', 'whole.json'),
  },
  gemini: {
    path: '/v1beta/models/m:generateContent',
    whole: { path: '/v1beta/models/m:generateContent', body: CONTENTS },
    stream: { path: '/v1beta/models/m:streamGenerateContent?alt=sse', body: CONTENTS },
    end: /"finishReason":"/,
    failure: /^data: \{"error":/m,
    sse: recorded('gemini', 'text.sse'),
    answer: GEMINI_ANSWER,
  },
}

export type ClientId = 'openai-chat' | 'openai-responses' | 'anthropic-messages' | 'gemini'

export const CLIENT_IDS: readonly ClientId[] = [
  'openai-chat',
  'openai-responses',
  'anthropic-messages',
  'gemini',
]

/** Every client protocol with a provider that speaks it, and with one that speaks the next. */
export const ROUTES: readonly {
  readonly client: ClientId
  readonly provider: ClientId
}[] = CLIENT_IDS.flatMap((client, i) => [
  { client, provider: client },
  { client, provider: CLIENT_IDS[(i + 1) % CLIENT_IDS.length] ?? client },
])

/** Offsets behind each frame. */
export function frameEnds(bytes: Buffer): readonly number[] {
  const ends: number[] = []
  for (const { index, 0: blank } of bytes.toString('latin1').matchAll(/\n\n|\r\n\r\n/g)) {
    ends.push(index + blank.length)
  }
  return ends
}
