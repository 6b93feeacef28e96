import type { ProviderFacts } from '../../contracts/provider.ts'
import { openaiCompatible } from '../openai-compatible.ts'

/**
 * Amazon Bedrock, by Converse.
 *
 * Host and key from the Tokenomics study (27 providers); models from the price snapshot of 2026-11-21. API keys of Bedrock are
 * sent as a bearer; pairs of an id and a secret sign for the service `bedrock`. 424 is ModelErrorException, which another try may
 * not meet (docs.aws.amazon.com, Bedrock API reference, "Converse", from general knowledge). Variables as AWS's own tools
 * read them.
 */
export const bedrock: ProviderFacts = openaiCompatible({
  id: 'bedrock',
  title: 'Amazon Bedrock',
  baseUrl: 'https://bedrock-runtime.{region}.amazonaws.com',
  protocols: ['bedrock-converse'],
  auth: { kind: 'sigv4', service: 'bedrock' },
  credentialEnv: 'AWS_BEARER_TOKEN_BEDROCK',
  credentialParts: {
    needed: ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'],
    optional: ['AWS_SESSION_TOKEN'],
  },
  baseUrlEnv: 'AWS_ENDPOINT_URL_BEDROCK_RUNTIME',
  failures: { 424: 'transient' },
  models: ['anthropic.claude-opus-5-5', 'amazon.nova-pro-v1:0', 'openai.gpt-oss-120b-1:0'],
})
