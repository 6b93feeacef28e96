import { configJsonSchema } from '../config/config-schema.ts'
import { redactConfig } from '../config/redact-config.ts'
import { PlanError } from '../plan/plan-error.ts'
import { AdminError } from './admin-error.ts'
import { jsonRoute, NO_BODY, NO_QUERY, type AdminRoute } from './admin-route.ts'
import { configSchema, objectSchema, reloadSchema } from './answer-schemas.ts'
import type { Control } from './control.ts'
import { inOrder } from './in-turn.ts'

export const SYSTEM_ROUTES: readonly AdminRoute[] = [
  jsonRoute({
    method: 'GET',
    path: '/stats',
    summary: 'Requests, tokens, cost and latency over rolling windows',
    query: NO_QUERY,
    body: NO_BODY,
    answer: objectSchema,
    handle: ({ control }) => control.stats(),
  }),
  jsonRoute({
    method: 'GET',
    path: '/config',
    summary: 'The configuration that runs, without secrets',
    query: NO_QUERY,
    body: NO_BODY,
    answer: configSchema,
    handle({ control }) {
      const loaded = control.config()
      return {
        file: loaded.file,
        revision: control.plan().revision,
        from_env: loaded.fromEnv,
        missing_secrets: loaded.missingSecrets,
        config: redactConfig(loaded.config),
      }
    },
  }),
  jsonRoute({
    method: 'POST',
    path: '/config/reload',
    summary: 'Read the configuration file again',
    query: NO_QUERY,
    body: NO_BODY,
    answer: reloadSchema,
    async handle({ control }) {
      await inOrder(control.store, () => reload(control))
      return { reloaded: true, revision: control.plan().revision }
    },
  }),
  jsonRoute({
    method: 'GET',
    path: '/config/schema',
    summary: 'JSON Schema of the configuration file',
    query: NO_QUERY,
    body: NO_BODY,
    answer: objectSchema,
    handle: () => configJsonSchema(),
  }),
]

/** A plan that cannot run is here the file's fault, not that of a policy in a request. */
async function reload(control: Control): Promise<void> {
  try {
    await control.reload()
  } catch (thrown) {
    if (!(thrown instanceof PlanError)) throw thrown
    throw new AdminError('invalid_config', thrown.message, { path: thrown.at })
  }
}
