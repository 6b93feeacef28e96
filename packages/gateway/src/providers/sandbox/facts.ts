import type { ProviderFacts } from '../../contracts/provider.ts'
import { SANDBOX_MODELS } from './behaviour.ts'

const SANDBOX_ID = 'sandbox'
/** Where `main.ts` listens when nothing else is said. */
export const SANDBOX_PORT = 4991

/** The built-in simulated upstream. It takes any credential and needs none. */
export function sandboxFacts(baseUrl: string): ProviderFacts {
  return {
    id: SANDBOX_ID,
    title: 'Sandbox (simulated answers, no vendor)',
    baseUrl,
    protocols: ['openai-chat', 'openai-responses', 'anthropic-messages', 'gemini'],
    auth: { kind: 'none' },
    credentialEnv: null,
    baseUrlEnv: 'SANDBOX_BASE_URL',
    headers: {},
    query: {},
    paths: {},
    allowPrivate: true,
    failures: {},
    onClientAbort: 'abort',
    unavailable: null,
    models: SANDBOX_MODELS,
  }
}

export const sandbox: ProviderFacts = sandboxFacts(`http://127.0.0.1:${SANDBOX_PORT}`)
