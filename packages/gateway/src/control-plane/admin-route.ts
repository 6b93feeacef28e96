import type { Context } from 'hono'
import type * as z from 'zod'
import { strict, validate } from '../config/validate.ts'
import { AdminError, badRequest } from './admin-error.ts'
import type { Control } from './control.ts'
import { readJsonBody } from './read-json-body.ts'

type AdminMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** What a handler gets: everything already checked. */
type AdminCall<Query, Body> = {
  readonly control: Control
  readonly query: Query
  readonly body: Body
  /** A `{name}` of the path, decoded. */
  readonly param: (name: string) => string
  /** Null when the request has no such header. */
  readonly header: (name: string) => string | null
  /** Aborted when the caller leaves. */
  readonly signal: AbortSignal
}

type RouteFacts = {
  readonly method: AdminMethod
  /** Below `/admin/v1`, with parameters as in `/keys/{id}`. */
  readonly path: string
  readonly summary: string
  /** Of a success; 200 when absent. */
  readonly status?: 201
}

/** One route: the same object is mounted, documented and tested. */
export type AdminRoute = RouteFacts & {
  readonly query: z.ZodType
  readonly body: z.ZodType
  /** False: a body may be left out, and must be empty. */
  readonly takesBody: boolean
  /** Null: not JSON, or JSON that no schema describes; see `answerType`. */
  readonly answer: z.ZodType | null
  readonly answerType: string
  readonly run: (control: Control, context: Context) => Promise<Response>
}

type Nothing = Readonly<Record<string, never>>
/** Of routes that take no query. */
export const NO_QUERY: z.ZodType<Nothing> = strict({})
/** Of routes that take no body; a `POST` may send `{}` or nothing. */
export const NO_BODY: z.ZodType<Nothing> = strict({})

type RouteSpec<Query, Body, Answer> = RouteFacts & {
  readonly query: z.ZodType<Query>
  readonly body: z.ZodType<Body>
  readonly answer: z.ZodType<Answer>
  readonly handle: (call: AdminCall<Query, Body>) => Answer | Promise<Answer>
}

/** A route that answers JSON. */
export function jsonRoute<Query, Body, Answer>({
  handle,
  ...route
}: RouteSpec<Query, Body, Answer>): AdminRoute {
  return {
    ...route,
    takesBody: WITH_BODY.has(route.method) && !Object.is(route.body, NO_BODY),
    answerType: 'application/json',
    async run(control, context) {
      const answer = await handle(await readCall(route, control, context))
      return context.json(answer, route.status ?? 200)
    },
  }
}

type RawRouteSpec<Query> = RouteFacts & {
  readonly query: z.ZodType<Query>
  readonly answerType: string
  readonly handle: (call: AdminCall<Query, unknown>) => Response | Promise<Response>
}

/** A route that makes its own response. */
export function rawRoute<Query>({ handle, ...route }: RawRouteSpec<Query>): AdminRoute {
  return {
    ...route,
    body: NO_BODY,
    takesBody: false,
    answer: null,
    async run(control, context) {
      return await handle(await readCall({ ...route, body: NO_BODY }, control, context))
    },
  }
}

const WITH_BODY: ReadonlySet<AdminMethod> = new Set(['POST', 'PUT', 'PATCH'])

async function readCall<Query, Body>(
  route: Pick<RouteSpec<Query, Body, unknown>, 'method' | 'query' | 'body'>,
  control: Control,
  { req }: Context,
): Promise<AdminCall<Query, Body>> {
  const query = checked(route.query, readQuery(req.url))
  const sent = WITH_BODY.has(route.method) ? await readJsonBody(req.raw) : {}
  return {
    control,
    query,
    body: checked(route.body, sent),
    param: (name) => req.param(name) ?? '',
    header: (name) => req.header(name) ?? null,
    signal: req.raw.signal,
  }
}

/** A name that is given twice is refused: which one counts would be a guess. */
function readQuery(url: string): Readonly<Record<string, string>> {
  const query = new Map<string, string>()
  for (const [name, value] of new URL(url).searchParams) {
    if (query.has(name)) {
      throw new AdminError('invalid_request', `${name} is given twice.`, { path: name })
    }
    query.set(name, value)
  }
  return Object.fromEntries(query)
}

function checked<T>(schema: z.ZodType<T>, input: unknown): T {
  const result = validate(schema, input)
  if (result.ok) return result.value
  throw badRequest(result.findings)
}
