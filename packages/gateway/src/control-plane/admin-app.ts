import { Hono, type Context } from 'hono'
import { requireOwnPage, requireToken } from './admin-auth.ts'
import { AdminError, errorBody, toAdminError } from './admin-error.ts'
import { rawRoute, NO_QUERY, type AdminRoute } from './admin-route.ts'
import { mountBucketRoutes } from './bucket-routes.ts'
import { ALIAS_ROUTES } from './alias-routes.ts'
import type { Control } from './control.ts'
import { eventRoutes, type EventRouteOptions } from './event-routes.ts'
import { HEALTH_ROUTES } from './health-routes.ts'
import { KEY_ROUTES } from './key-routes.ts'
import { LEDGER_ROUTES } from './ledger-routes.ts'
import { LIMIT_ROUTES } from './limit-routes.ts'
import { MODEL_ROUTES } from './model-routes.ts'
import { openApiDocument } from './openapi.ts'
import { POLICY_ROUTES } from './policy-routes.ts'
import { PROVIDER_ROUTES } from './provider-routes.ts'
import { mountPublicRoutes, PUBLIC_PATHS } from './public-routes.ts'
import { REWARD_ROUTES } from './reward-routes.ts'
import { ROUTING_ROUTES } from './routing-routes.ts'
import { mountSyncRoutes } from './sync-routes.ts'
import { SYSTEM_ROUTES } from './system-routes.ts'
import { USAGE_ROUTES } from './usage-routes.ts'

export const ADMIN_PREFIX = '/admin/v1'

export type AdminAppOptions = EventRouteOptions & {
  /** Names besides the loopback ones that `Host` may have; null: any. Default: none. */
  readonly allowedHosts?: readonly string[] | null
  /** True when others can reach the listener: `/metrics` then needs the token too. */
  readonly guardMetrics?: boolean
  /** Told what went wrong inside, for the log. */
  readonly onError?: (thrown: unknown) => void
}

/** Every route below `ADMIN_PREFIX`. */
export function adminRoutes(options: EventRouteOptions = {}): readonly AdminRoute[] {
  const routes = [
    ...KEY_ROUTES,
    ...POLICY_ROUTES,
    ...PROVIDER_ROUTES,
    ...MODEL_ROUTES,
    ...ALIAS_ROUTES,
    ...ROUTING_ROUTES,
    ...REWARD_ROUTES,
    ...LIMIT_ROUTES,
    ...USAGE_ROUTES,
    ...LEDGER_ROUTES,
    ...HEALTH_ROUTES,
    ...SYSTEM_ROUTES,
    ...eventRoutes(options),
  ]
  const document: AdminRoute = rawRoute({
    method: 'GET',
    path: '/openapi.json',
    summary: 'This document',
    query: NO_QUERY,
    answerType: 'application/json',
    handle: ({ control }) =>
      Response.json(
        openApiDocument([...routes, document], { version: control.version, prefix: ADMIN_PREFIX }),
      ),
  })
  return [...routes, document]
}

/** Answers are nobody's to keep or to guess at. */
const EVERYWHERE = [
  ['cache-control', 'no-store'],
  ['x-content-type-options', 'nosniff'],
] as const

/** The whole admin port as one `fetch` function. No listener: the CLI calls it in-process when no server runs. */
export function createAdminApp(control: Control, options: AdminAppOptions = {}): Hono {
  const app = new Hono()
  app.use(async (context, next) => {
    for (const [name, value] of EVERYWHERE) context.header(name, value)
    const { req } = context
    requireOwnPage(
      {
        host: req.header('host') ?? new URL(req.url).host,
        origin: req.header('origin') ?? null,
        fetchSite: req.header('sec-fetch-site') ?? null,
      },
      options.allowedHosts === undefined ? [] : options.allowedHosts,
    )
    await next()
    if (req.method !== 'GET' && req.method !== 'HEAD') await control.applied?.()
    // Again, for responses that no helper of the framework made.
    for (const [name, value] of EVERYWHERE) context.res.headers.set(name, value)
  })
  mountPublicRoutes(app, control, { guardMetrics: options.guardMetrics ?? false })
  mountBucketRoutes(app, control)
  mountSyncRoutes(app, control)
  app.use('/admin/*', async ({ req }, next) => {
    requireToken(req.header('authorization') ?? null, control.adminToken)
    await next()
  })
  for (const path of PUBLIC_PATHS) refuseOtherMethods(app, path, ['GET'])
  mountRoutes(app, control, adminRoutes(options))
  app.notFound((context) => answerError(context, new AdminError('not_found', 'Nothing is here.')))
  app.onError((thrown, context) => {
    const error = toAdminError(thrown)
    if (error.status >= 500 && error.code !== 'not_available') options.onError?.(thrown)
    return answerError(context, error)
  })
  return app
}

function honoPath({ path }: AdminRoute): string {
  return ADMIN_PREFIX + path.replaceAll(/\{(\w+)\}/g, ':$1')
}

/** Path by path in the order of their first routes, so that `/policies/simulate` is never taken for a policy. */
function mountRoutes(app: Hono, control: Control, routes: readonly AdminRoute[]): void {
  const byPath = new Map<string, AdminRoute[]>()
  for (const route of routes) {
    const path = honoPath(route)
    byPath.set(path, [...(byPath.get(path) ?? []), route])
  }
  for (const [path, ofPath] of byPath) {
    for (const route of ofPath) {
      app.on(route.method, path, (context) => route.run(control, context))
    }
    const methods = ofPath.map(({ method }) => method)
    refuseOtherMethods(app, path, methods)
  }
}

function answerError(context: Context, error: AdminError): Response {
  return context.json(errorBody(error), error.status, error.details.headers)
}

/** Mounted after the routes of the path, so that it sees only what none of them took. */
function refuseOtherMethods(app: Hono, path: string, methods: readonly string[]): void {
  const allow = (methods.includes('GET') ? ['HEAD', ...methods] : methods).join(', ')
  app.all(path, () => {
    throw new AdminError('method_not_allowed', `This path takes ${allow}.`, { headers: { allow } })
  })
}
