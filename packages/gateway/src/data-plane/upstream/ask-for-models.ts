import type { ModelList, Protocol } from '../../contracts/protocol.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import type { ProviderPlan } from '../../plan/gateway-plan.ts'
import { upstreamPath } from '../../plan/upstream-path.ts'
import { withAccessToken } from './access-tokens.ts'
import { signed } from './sign-request.ts'
import { type CallTools, collectBody, UpstreamCall } from './upstream-call.ts'

export type ListTools = CallTools & { readonly protocols: readonly Protocol[] }

/** `models`: null when the answer is no list that the provider's protocol has. */
export type ListedModels = { readonly status: number; readonly models: readonly string[] | null }

const MAX_LIST_BYTES = 8 * 1024 * 1024
const MAX_PAGES = 50
/** Where most servers have theirs, whatever they speak. */
const USUAL: Pick<ModelList, 'path' | 'query'> = { path: '/v1/models', query: '' }

/** Asks a provider for its models, page by page, with its credential. Throws `GatewayError`. */
export async function askForModels(
  provider: ProviderPlan,
  tools: ListTools,
): Promise<ListedModels> {
  const list = listOf(provider, tools.protocols)
  const models: string[] = []
  let query: string | null = list?.query ?? USUAL.query
  let status = 0
  for (let page = 0; query !== null && page < MAX_PAGES; page++) {
    const answer = await askForPage(provider, { ...(list ?? USUAL), query }, tools)
    status = answer.status
    const read = list === null || status >= 300 ? null : list.read(answer.body)
    if (read === null) return { status, models: null }
    models.push(...read.ids)
    query = read.next
  }
  return { status, models }
}

/** That of the first of its protocols that has one. */
function listOf({ protocols: ids }: ProviderPlan, all: readonly Protocol[]): ModelList | null {
  for (const id of ids) {
    const list = all.find((protocol) => protocol.id === id)?.modelList
    if (list !== undefined) return list
  }
  return null
}

async function askForPage(
  provider: ProviderPlan,
  { path, query }: Pick<ModelList, 'path' | 'query'>,
  tools: CallTools,
): Promise<{ readonly status: number; readonly body: Buffer }> {
  const headers = [...Object.entries(provider.headers).flat(), 'accept-encoding', 'identity']
  const url = upstreamPath(provider, { endpoint: 'models', path, query }, '')
  const request = signed(provider, { method: 'GET', path: url, headers, body: null })
  const call = new UpstreamCall(provider, await withAccessToken(provider, request, tools), tools)
  await call.head
  const body = await collectBody(call, MAX_LIST_BYTES)
  if (call.status >= 300 && call.status < 400) {
    throw new GatewayError('upstream_redirect', 'The provider answers with a redirect.')
  }
  return { status: call.status, body }
}
