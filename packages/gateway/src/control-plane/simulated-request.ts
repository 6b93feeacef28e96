import { EndpointTable, type ServedEndpoint } from '../data-plane/http/endpoint-table.ts'
import { type StatedRequest } from '../data-plane/what-if/unsent-request.ts'
import { didYouMean } from '../lib/did-you-mean.ts'
import { AdminError } from './admin-error.ts'
import type { Control } from './control.ts'
import { needsOf } from './simulate-routing.ts'
import type { PolicySimulationBody } from './what-if-api.ts'

const DEFAULT_ENDPOINT = '/v1/chat/completions'
const DEFAULT_INPUT_TOKENS = 1000
const MODEL_PLACE = '{model}'

/** Where the request would go, and what it would say. */
export type SimulatedCall = {
  readonly served: ServedEndpoint
  readonly path: string
  readonly query: string
  readonly content: Buffer | StatedRequest
}

/** Throws `invalid_request`. */
export function simulatedCall(control: Control, body: PolicySimulationBody): SimulatedCall {
  const { path, query } = placeOf(control, body)
  const served = new EndpointTable(control.protocols).find(path)
  if (served === null) throw noSuchEndpoint(control, path)
  return {
    served,
    path,
    query: query === '' ? served.endpoint.query : query,
    content: body.body === undefined ? statedOf(body, served) : writtenOf(body, served),
  }
}

function placeOf(
  { protocols }: Control,
  body: PolicySimulationBody,
): { readonly path: string; readonly query: string } {
  const asked = body.endpoint ?? DEFAULT_ENDPOINT
  const [first = '', ...rest] = asked.split('?')
  const named = protocols
    .flatMap(({ endpoints }) => endpoints)
    .find(({ endpoint }) => endpoint === asked)
  const path = named?.path ?? first
  if (!path.includes(MODEL_PLACE)) return { path, query: queryOf(rest) }
  const model = body.model ?? body.body?.['model']
  if (typeof model !== 'string') throw invalid('model', 'is required: the path names it')
  return { path: path.replace(MODEL_PLACE, () => encodeURIComponent(model)), query: queryOf(rest) }
}

function queryOf(parts: readonly string[]): string {
  return parts.length === 0 ? '' : `?${parts.join('?')}`
}

function noSuchEndpoint({ protocols }: Control, asked: string): AdminError {
  const endpoints = protocols.flatMap((one) => one.endpoints)
  const known = new Set(endpoints.flatMap(({ endpoint, path }) => [endpoint, path]))
  const near = didYouMean(asked, [...known])
  return invalid('endpoint', `"${asked}" is no endpoint that takes requests${near}`)
}

/** A request is enough by itself; what it says is not said twice. */
function writtenOf(body: PolicySimulationBody, served: ServedEndpoint): Buffer {
  for (const name of ['input_tokens', 'max_tokens', 'stream', 'needs'] as const) {
    if (body[name] !== undefined) throw invalid(name, 'is said by body already')
  }
  const { endpoint, wrapper } = served
  if (endpoint.readForm !== undefined) {
    throw invalid('body', 'this endpoint takes a form; give model and sizes instead')
  }
  const written = body.body ?? {}
  const own = written['model']
  if (body.model !== undefined && own !== undefined && own !== body.model) {
    throw invalid('model', 'is another than that of body')
  }
  const adds = body.model !== undefined && own === undefined && served.pathModel === undefined
  const whole = adds && wrapper === null ? { ...written, model: body.model } : written
  return Buffer.from(JSON.stringify(whole))
}

function statedOf(body: PolicySimulationBody, served: ServedEndpoint): StatedRequest {
  const model = body.model ?? served.pathModel
  if (model === undefined) throw invalid('model', 'is required where there is no body')
  return {
    model,
    stream: body.stream ?? body.needs?.streaming ?? false,
    inputTokens: body.input_tokens ?? DEFAULT_INPUT_TOKENS,
    maxOutputTokens: body.max_tokens ?? null,
    needs: needsOf(body),
  }
}

export function invalid(path: string, problem: string): AdminError {
  return new AdminError('invalid_request', `${path}: ${problem}`, { path })
}
