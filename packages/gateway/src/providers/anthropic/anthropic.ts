import type { ProviderFacts } from '../../contracts/provider.ts'

/**
 * Anthropic.
 *
 * 529 is "overloaded" (learn.microsoft.com, Dev Proxy, "Anthropic 529 overloaded_error", read 2026-11-21); 402 is
 * billing_error, 409 conflict_error and worth another try, 504 timeout_error (developersdigest.tech/errors/api/anthropic-api,
 * read 2026-11-21). A monthly spend limit comes as 429 without `retry-after`.
 * The version header is required; 2023-06-01 is the only one. Models from the price snapshot 2026-11-21.
 */
export const anthropic: ProviderFacts = {
  id: 'anthropic',
  title: 'Anthropic',
  baseUrl: 'https://api.anthropic.com',
  protocols: ['anthropic-messages'],
  auth: { kind: 'header', name: 'x-api-key' },
  credentialEnv: 'ANTHROPIC_API_KEY',
  baseUrlEnv: 'ANTHROPIC_BASE_URL',
  headers: { 'anthropic-version': '2023-06-01' },
  query: {},
  paths: {},
  allowPrivate: false,
  failures: { 402: 'quota', 409: 'transient', 504: 'timeout', 529: 'overloaded' },
  onClientAbort: 'abort',
  unavailable: null,
  models: [
    'claude-opus-5-5',
    'claude-opus-5',
    'claude-opus-4-8',
    'claude-sonnet-5-5',
    'claude-sonnet-5',
    'claude-sonnet-4-6',
    'claude-sonnet-4-5',
    'claude-haiku-5-5',
    'claude-haiku-4-5',
  ],
}
