import type { ProviderFacts } from '../../contracts/provider.ts'
import { openaiCompatible } from '../openai-compatible.ts'

/**
 * Cohere, through its Compatibility API: docs.cohere.com/docs/compatibility-api (read 2026-11-21).
 *
 * That API refuses `stream_options` (strandsagents.com/docs, "Cohere", read 2026-11-21).
 * The native `/v2/chat` is a protocol of its own and is not built in this version.
 */
export const cohere: ProviderFacts = openaiCompatible({
  id: 'cohere',
  title: 'Cohere',
  baseUrl: 'https://api.cohere.ai/compatibility/v1',
  refusesUsageOption: true,
  models: ['command-a-03-2025', 'command-r-plus-08-2024', 'command-r7b-12-2024'],
})
