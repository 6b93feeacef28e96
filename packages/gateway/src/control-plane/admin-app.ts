import { Hono, type Context } from 'hono'
import { requireOwnPage, requireToken } from './admin-auth.ts'
import { AdminError, errorBody, toAdminError } from './admin-error.ts'
import { rawRoute, NO_QUERY, type AdminRoute } from './admin-route.ts'
import type { Control } from './control.ts'
import { eventRoutes, type EventRouteOptions } from './event-routes.ts'
import { KEY_ROUTES } from './key-routes.ts'
import { LIMIT_ROUTES } from './limit-routes.ts'
import { MODEL_ROUTES } from './model-routes.ts'
import { openApiDocument } from './openapi.ts'
import { POLICY_ROUTES } from './policy-routes.ts'
import { PROVIDER_ROUTES } from './provider-routes.ts'
import { mountPublicRoutes, PUBLIC_PATHS } from './public-routes.ts'
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
    ...LIMIT_ROUTES,
    ...USAGE_ROUTES,
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

/** The whole admin port as one `fetch` function. No listener: the CLI calls it in-process when no server runs. */
export function createAdminApp(control: Control, options: AdminAppOptions = {}): Hono {
  const app = new Hono()
  app.use(async (context, next) => {
    context.header('cache-control', 'no-store')
    context.header('x-content-type-options', 'nosniff')
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
  })
  mountPublicRoutes(app, control, { guardMetrics: options.guardMetrics ?? false })
  app.use('/admin/*', async ({ req }, next) => {
    requireToken(req.header('authorization') ?? null, control.adminToken)
    await next()
  })
  const routes = adminRoutes(options)
  for (const route of routes) {
    app.on(route.method, honoPath(route), (context) => route.run(control, context))
  }
  refuseOtherMethods(app, routes)
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

/** Mounted after all routes, so that it sees only what none of them took. */
function refuseOtherMethods(app: Hono, routes: readonly AdminRoute[]): void {
  const byPath = new Map<string, string[]>(PUBLIC_PATHS.map((path) => [path, ['GET']]))
  for (const route of routes) {
    const path = honoPath(route)
    byPath.set(path, [...(byPath.get(path) ?? []), route.method])
  }
  for (const [path, methods] of byPath) {
    const allow = (methods.includes('GET') ? ['HEAD', ...methods] : methods).join(', ')
    app.all(path, () => {
      throw new AdminError('method_not_allowed', `This path takes ${allow}.`, {
        headers: { allow },
      })
    })
  }
}

function answerError(context: Context, error: AdminError): Response {
  return context.json(errorBody(error), error.status, error.details.headers)
}
