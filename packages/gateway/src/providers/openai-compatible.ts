import type { ProviderFacts } from '../contracts/provider.ts'

/** What differs between the many vendors that speak OpenAI's chat protocol with a bearer key. */
export type CompatibleVendor = Pick<ProviderFacts, 'id' | 'title' | 'baseUrl' | 'models'> &
  Partial<ProviderFacts>

/** A vendor that speaks `openai-chat`. Whatever `vendor` says itself wins. */
export function openaiCompatible(vendor: CompatibleVendor): ProviderFacts {
  const name = vendor.id.toUpperCase()
  return {
    protocols: ['openai-chat'],
    auth: { kind: 'bearer' },
    credentialEnv: `${name}_API_KEY`,
    baseUrlEnv: `${name}_BASE_URL`,
    headers: {},
    query: {},
    paths: {},
    allowPrivate: false,
    failures: {},
    onClientAbort: 'abort',
    unavailable: null,
    ...vendor,
  }
}

/**
 * A server on the operator's own machine or network. It needs no credential; one that is configured is sent as a bearer.
 * Special-use addresses may be dialled.
 */
export function localServer(vendor: CompatibleVendor): ProviderFacts {
  return openaiCompatible({ credentialEnv: null, allowPrivate: true, ...vendor })
}
