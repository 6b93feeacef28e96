import type { Hono } from 'hono'
import { GatewayError } from '../errors/gateway-error.ts'
import { requireToken } from './admin-auth.ts'
import type { Control } from './control.ts'
import { SyncFailed, syncLimits } from './sync-limits.ts'

const SYNC_PATH = '/sync/openai-limits'

/** TokenGuard's endpoint that brings the global bucket to what OpenAI says of its own. A failure is `{detail}`. */
export function mountSyncRoutes(app: Hono, control: Control): void {
  app.use(SYNC_PATH, async ({ req }, next) => {
    requireToken(req.header('authorization') ?? null, control.adminToken)
    await next()
  })
  app.on(['GET', 'POST'], SYNC_PATH, async (context) => {
    const provider = context.req.query('provider') ?? null
    const model = context.req.query('model') ?? null
    try {
      return context.json(await syncLimits(control, { provider, model }))
    } catch (thrown) {
      if (!(thrown instanceof SyncFailed) && !(thrown instanceof GatewayError)) throw thrown
      return context.json({ detail: thrown.message }, 500)
    }
  })
}
