import type { SandboxProtocol } from './ask.ts'

type Proving = Exclude<SandboxProtocol, 'openai-chat'>

/** The sandbox's proof of its own thinking. Another protocol's is as foreign as another vendor's. */
export const REASONING_STATES: Readonly<Record<Proving, string>> = {
  'openai-responses': 'c2FuZGJveC1lbmNyeXB0ZWQtcmVhc29uaW5n',
  'anthropic-messages': 'c2FuZGJveC1zaWduYXR1cmU=',
  gemini: 'c2FuZGJveC10aG91Z2h0LXNpZ25hdHVyZQ==',
}

/**
 * What Gemini takes instead, for calls that another model made.
 * Source: ai.google.dev/gemini-api/docs/thought-signatures, from knowledge.
 */
const STAND_INS: ReadonlySet<unknown> = new Set([
  'skip_thought_signature_validator',
  'context_engineering_is_the_way_to_go',
])

export function isProof(protocol: Proving, value: unknown): boolean {
  return value === REASONING_STATES[protocol] || (protocol === 'gemini' && STAND_INS.has(value))
}
