/**
 * Stands where a call was made by another model, or its signature is lost. Newer models refuse calls without any.
 *
 * @see https://ai.google.dev/gemini-api/docs/thought-signatures (from general knowledge)
 */
export const NO_SIGNATURE = 'skip_thought_signature_validator'
