import type { SandboxProcess } from '../harness/sandbox.ts'
import type { ProtocolId } from './client.ts'

/** Providers that speak exactly one protocol each. All are the same sandbox. */
export type Route = {
  readonly name: string
  readonly protocol: ProtocolId
  readonly basePath: string
}

export const ROUTES: readonly Route[] = [
  { name: 'chat-only', protocol: 'openai-chat', basePath: '/v1' },
  { name: 'responses-only', protocol: 'openai-responses', basePath: '/v1' },
  { name: 'messages-only', protocol: 'anthropic-messages', basePath: '/v1' },
  { name: 'gemini-only', protocol: 'gemini', basePath: '' },
]

export function providerOf({ basePath, protocol }: Route, sandbox: SandboxProcess): object {
  return { ...sandbox.provider, protocol: [protocol], base_url: `${sandbox.url}${basePath}` }
}
