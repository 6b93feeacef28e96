/** The sandbox's proof of its own thinking, in each protocol's place for it. */
export const REASONING_STATE = 'c2FuZGJveC1zaWduYXR1cmU='

/**
 * What Gemini takes instead, for calls that another model made.
 * Source: ai.google.dev/gemini-api/docs/thought-signatures, from knowledge.
 */
const STAND_INS: ReadonlySet<unknown> = new Set([
  'skip_thought_signature_validator',
  'context_engineering_is_the_way_to_go',
])

export function isProof(value: unknown): boolean {
  return value === REASONING_STATE || STAND_INS.has(value)
}
