import type { Context, Hono } from 'hono'
import { readinessOf } from '../lib/readiness.ts'
import { requireToken } from './admin-auth.ts'
import type { Control } from './control.ts'

/** Paths outside the API, for probes and scrapers: they show no configuration and no usage of anybody. */
export const PUBLIC_PATHS = ['/', '/health', '/healthz', '/health/ready', '/metrics'] as const

/** Mounts them. `guardMetrics`: the metrics need the token. */
export function mountPublicRoutes(
  app: Hono,
  control: Control,
  options: { readonly guardMetrics: boolean },
): void {
  const answers: Readonly<
    Record<(typeof PUBLIC_PATHS)[number], (context: Context) => Response | Promise<Response>>
  > = {
    '/': (context) =>
      context.json({
        name: 'tollgate',
        version: control.version,
        api: '/admin/v1',
        openapi: '/admin/v1/openapi.json',
        docs: 'docs/reference/admin-api.md',
      }),
    '/health': (context) => context.json({ status: 'ok' }),
    '/healthz': (context) => context.json({ status: 'ok' }),
    '/health/ready'(context) {
      const { ready, checks } = readinessOf(control.readiness())
      const body = { status: ready ? 'ready' : 'not_ready', checks }
      return context.json(body, ready ? 200 : 503)
    },
    async '/metrics'(context) {
      if (options.guardMetrics) {
        requireToken(context.req.header('authorization') ?? null, control.adminToken)
      }
      const { contentType, text } = await control.metrics()
      return new Response(text, { headers: { 'content-type': contentType } })
    },
  }
  for (const path of PUBLIC_PATHS) app.get(path, answers[path])
}
