import type { ProviderPlan } from './gateway-plan.ts'

const VERSION_AT_END = /\/v\d+[a-z0-9]*$/
const VERSION_AT_START = /^\/v\d+[a-z0-9]*(?=\/)/

/**
 * Path and query of one call: the provider's base, the endpoint's path, the provider's query, the endpoint's and the
 * client's own. A provider names paths of its own by the endpoint, or by the endpoint's path where one has several.
 *
 * A base that already ends in a version (`/v1`, `/api/paas/v4`) takes the endpoint's path without its version. A name in
 * the client's query that the provider's query has is dropped. Hot.
 */
export function upstreamPath(
  provider: ProviderPlan,
  endpoint: { readonly endpoint: string; readonly path: string; readonly query: string },
  model: string,
  clientQuery = '',
): string {
  const own = provider.paths[endpoint.path] ?? provider.paths[endpoint.endpoint]
  const path = (own ?? endpoint.path).replace('{model}', () => encodeURIComponent(model))
  const joined =
    own === undefined && VERSION_AT_END.test(provider.basePath)
      ? provider.basePath + path.replace(VERSION_AT_START, '')
      : provider.basePath + path
  return joined + joinQueries(joinQueries(endpoint.query, provider.query), clientQuery)
}

function joinQueries(own: string, client: string): string {
  if (client.length <= 1) return own
  if (own === '') return client
  const fixed = new Set(new URLSearchParams(own).keys())
  const rest = client
    .slice(1)
    .split('&')
    .filter((pair) => !fixed.has(new URLSearchParams(pair).keys().next().value ?? ''))
  return rest.length === 0 ? own : `${own}&${rest.join('&')}`
}
