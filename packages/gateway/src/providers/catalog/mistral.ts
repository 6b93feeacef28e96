import type { ProviderFacts } from '../../contracts/provider.ts'
import { openaiCompatible } from '../openai-compatible.ts'

/**
 * Mistral AI. Address from the Tokenomics study (27 providers); models from the price snapshot of 2026-11-21.
 *
 * It refuses members that it does not know with 422, `stream_options` (github.com/openai/openai-agents-python/issues/442) and
 * `max_completion_tokens` (github.com/editor-code-assistant/eca/issues/231) among them, and reports usage unasked
 * (github.com/dnakov/anon-kode/issues/53; all read 2026-11-21).
 */
export const mistral: ProviderFacts = openaiCompatible({
  id: 'mistral',
  title: 'Mistral AI',
  baseUrl: 'https://api.mistral.ai',
  outputCapMember: 'max_tokens',
  refusesUsageOption: true,
  models: [
    'mistral-large-latest',
    'mistral-medium-3.5',
    'mistral-small-latest',
    'codestral-latest',
    'devstral-latest',
  ],
})
