import type { ProviderFacts } from '../../contracts/provider.ts'
import { openaiCompatible } from '../openai-compatible.ts'

/**
 * Amazon Bedrock. Host and key from the Tokenomics study (27 providers); models from the price snapshot of 2026-11-21.
 */
export const bedrock: ProviderFacts = openaiCompatible({
  id: 'bedrock',
  title: 'Amazon Bedrock',
  baseUrl: 'https://bedrock-runtime.{region}.amazonaws.com',
  protocols: ['bedrock-converse'],
  auth: { kind: 'unavailable', name: 'sigv4' },
  credentialEnv: 'AWS_BEARER_TOKEN_BEDROCK',
  paths: { chat: '/model/{model}/converse' },
  unavailable: 'the Converse protocol is not built in this version',
  models: ['anthropic.claude-opus-5-5', 'amazon.nova-pro-v1:0', 'openai.gpt-oss-120b-1:0'],
})
