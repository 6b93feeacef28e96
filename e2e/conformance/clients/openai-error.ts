import OpenAI from 'openai'
import type { TypedError } from '../client.ts'

export function readOpenAiError(thrown: unknown): TypedError {
  if (!(thrown instanceof OpenAI.APIError)) return { status: null, name: String(thrown) }
  const status: unknown = thrown.status
  return { status: typeof status === 'number' ? status : null, name: thrown.constructor.name }
}
