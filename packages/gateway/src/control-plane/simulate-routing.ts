import type { Protocol, ProtocolEndpoint } from '../contracts/protocol.ts'
import { CAPABILITIES, type Needs, NO_NEEDS, type RoutingHints } from '../contracts/routing.ts'
import type { KeyRecord } from '../contracts/key.ts'
import type { SimulatedRequest, SimulatedRoute } from '../data-plane/routing/simulate-route.ts'
import { didYouMean } from '../lib/did-you-mean.ts'
import { sortableId } from '../lib/sortable-id.ts'
import { compileKey } from '../plan/compile-key.ts'
import { namelessKey } from '../plan/nameless-key.ts'
import { nanoUsd } from '../plan/compile-limit.ts'
import type { KeyPlan } from '../plan/gateway-plan.ts'
import type { RouteSimulation, RouteSimulationBody } from './routing-api.ts'
import { AdminError } from './admin-error.ts'
import type { Control } from './control.ts'
import { decisionView } from './decision-view.ts'
import { findKey } from './find-key.ts'

const DEFAULT_PROTOCOL = 'openai-chat'
const DEFAULT_INPUT_TOKENS = 1000

/** Where a request would go, and how often of many. Throws `AdminError` or `PlanError`. */
export async function simulateRouting(
  control: Control,
  body: RouteSimulationBody,
): Promise<RouteSimulation> {
  const asked = await requestOf(control, body)
  const seed = body.seed ?? sortableId('sim_', control.clock.wallMs())
  const count = body.count ?? 1
  // The first is the answer for the seed itself, so that it is what a request of that id would get.
  const seeds = Array.from({ length: count }, (_, i) => (i === 0 ? seed : `${seed}:${i}`))
  const routes = await control.simulateRoutes(asked, seeds)
  const [first] = routes
  return {
    model: asked.model,
    seed,
    order: first?.order ?? [],
    routing: first?.decision == null ? null : decisionView(first.decision),
    error: first?.error ?? null,
    count,
    distribution: distributionOf(routes),
  }
}

async function requestOf(control: Control, body: RouteSimulationBody): Promise<SimulatedRequest> {
  const { protocol, endpoint } = endpointOf(control, body)
  const model = modelOf(body)
  return {
    key: await keyOf(control, body),
    protocol,
    endpoint,
    model,
    body: body.request === undefined ? null : bodyOf(body.request, model, endpoint),
    needs: needsOf(body),
    stream: body.stream ?? body.needs?.streaming ?? false,
    inputTokens: body.input_tokens ?? DEFAULT_INPUT_TOKENS,
    maxOutputTokens: body.max_tokens ?? null,
    hints: hintsOf(body),
    session: body.session ?? null,
  }
}

/** A request is enough by itself; what it says is not said twice. */
function modelOf({ model, request, ...said }: RouteSimulationBody): string {
  if (request !== undefined) {
    for (const name of ['needs', 'input_tokens', 'max_tokens', 'stream'] as const) {
      if (said[name] !== undefined) throw invalid(name, 'is said by request already')
    }
  }
  const own = request?.['model']
  if (model === undefined && typeof own !== 'string') throw invalid('model', 'is required')
  if (model !== undefined && own !== undefined && own !== model) {
    throw invalid('model', 'is another than that of request')
  }
  return model ?? String(own)
}

function bodyOf(
  request: Readonly<Record<string, unknown>>,
  model: string,
  endpoint: ProtocolEndpoint,
): Buffer {
  const named = endpoint.path.includes('{model}') ? request : { ...request, model }
  return Buffer.from(JSON.stringify(named))
}

/** Streams and whole answers are chosen for alike, so that the protocol's first conversation serves for both. */
function endpointOf(
  { protocols }: Control,
  body: RouteSimulationBody,
): { readonly protocol: Protocol; readonly endpoint: ProtocolEndpoint } {
  const id = body.protocol ?? DEFAULT_PROTOCOL
  const protocol = protocols.find((one) => one.id === id)
  const endpoint = protocol?.endpoints.find(({ translated }) => translated)
  if (protocol !== undefined && endpoint !== undefined) return { protocol, endpoint }
  const ids = protocols.filter(({ endpoints }) => endpoints.length > 0).map((one) => one.id)
  throw invalid('protocol', `"${id}" is none of ${ids.join(', ')}${didYouMean(id, ids)}`)
}

async function keyOf(control: Control, body: RouteSimulationBody): Promise<KeyPlan> {
  const { policies } = control.plan()
  if (body.key !== undefined && body.policy !== undefined) {
    throw invalid('policy', 'cannot be given together with key')
  }
  if (body.key !== undefined) return compileKey(await findKey(control, body.key), policies)
  const named = typeof body.policy === 'string' ? [body.policy] : []
  const inline = typeof body.policy === 'object' ? body.policy : {}
  return compileKey({ ...NOBODY, policies: named, policy: inline }, policies)
}

/** A caller with no policy but the global one, and what is asked. */
export const NOBODY: KeyRecord = namelessKey('simulated', 'api')

export function needsOf({ needs = {} }: Pick<RouteSimulationBody, 'needs'>): Needs {
  const given = CAPABILITIES.filter((name) => needs[name] === true)
  return { ...NO_NEEDS, ...Object.fromEntries(given.map((name) => [name, true])) }
}

function hintsOf({ hints }: RouteSimulationBody): RoutingHints | null {
  if (hints === undefined) return null
  return {
    mode: hints.mode ?? null,
    maxCostNanoUsd: hints.max_cost === undefined ? null : nanoUsd(hints.max_cost, 'hints.max_cost'),
    maxLatencyMs: hints.max_latency_ms ?? null,
    minWeight: hints.min_weight ?? null,
  }
}

/** Who came first, the most frequent first. A refusal counts as no target. */
function distributionOf(routes: readonly SimulatedRoute[]): RouteSimulation['distribution'] {
  const counts = new Map<string, { target: string | null; model: string | null; count: number }>()
  for (const { order } of routes) {
    const [first] = order
    const name = first === undefined ? '' : `${first.target}\n${first.model}`
    const row = counts.get(name) ?? {
      target: first?.target ?? null,
      model: first?.model ?? null,
      count: 0,
    }
    row.count += 1
    counts.set(name, row)
  }
  return [...counts.values()]
    .toSorted((one, other) => other.count - one.count)
    .map(({ target, model, count }) => ({ target, model, count, share: count / routes.length }))
}

function invalid(path: string, problem: string): AdminError {
  return new AdminError('invalid_request', `${path}: ${problem}`, { path })
}
