import { quoted } from './shell-text.ts'

export type BannerFacts = {
  readonly proxyUrl: string
  readonly adminUrl: string
  readonly key: string
  readonly keyNote: string
  /** A model that answers now. */
  readonly model: string
  readonly providers: readonly string[]
}

/** How to use the gateway that has just started. Every line can be pasted as it stands. */
export function banner(facts: BannerFacts): string {
  const { proxyUrl, adminUrl, key } = facts
  return [
    '',
    `  Proxy      ${proxyUrl}`,
    `  Admin API  ${adminUrl}/admin/v1  (the dashboard comes in a later version)`,
    `  Providers  ${providersText(facts.providers)}`,
    `  Key        ${key}`,
    `             (${facts.keyNote})`,
    '',
    '  Try it:',
    `  ${curlLine(facts, false)}`,
    '',
    '  The same as a stream:',
    `  ${curlLine(facts, true)}`,
    '',
    '  Connect:',
    `  Claude Code    ANTHROPIC_BASE_URL=${proxyUrl} ANTHROPIC_API_KEY=${key} claude`,
    '  Codex          tollgate run -- codex, or tollgate init --agent codex',
    `  Cursor         Settings > Models: OpenAI API key = the key above, base URL = ${proxyUrl}/v1`,
    '                 (Cursor calls from its own servers: give the gateway an address that they reach)',
    `  OpenAI SDK     OPENAI_BASE_URL=${proxyUrl}/v1 OPENAI_API_KEY=${key}`,
    `  Anthropic SDK  ANTHROPIC_BASE_URL=${proxyUrl} ANTHROPIC_API_KEY=${key}`,
    '  Any program    tollgate run -- CMD',
    '',
  ].join('\n')
}

function providersText(providers: readonly string[]): string {
  if (providers.length > 0 && providers.every((name) => name === 'sandbox')) {
    return 'sandbox (simulated answers; set OPENAI_API_KEY, ANTHROPIC_API_KEY … for real ones)'
  }
  return providers.join(', ')
}

function curlLine({ proxyUrl, key, model }: BannerFacts, stream: boolean): string {
  const body = {
    model,
    messages: [{ role: 'user', content: 'Hello' }],
    ...(stream ? { stream: true } : {}),
  }
  return [
    `curl ${stream ? '-N' : '-sS'} ${proxyUrl}/v1/chat/completions`,
    `-H ${quoted(`Authorization: Bearer ${key}`)}`,
    `-H ${quoted('Content-Type: application/json')}`,
    `-d ${quoted(JSON.stringify(body))}`,
  ].join(' ')
}
