import { configJsonSchema } from '../config/config-schema.ts'
import { redactConfig } from '../config/redact-config.ts'
import { readinessOf } from '../lib/readiness.ts'
import type { TargetPlan } from '../plan/gateway-plan.ts'
import { PlanError } from '../plan/plan-error.ts'
import type { HealthView, TargetHealth } from './admin-api.ts'
import { AdminError } from './admin-error.ts'
import { jsonRoute, NO_BODY, NO_QUERY, type AdminRoute } from './admin-route.ts'
import { configSchema, healthSchema, objectSchema, reloadSchema } from './answer-schemas.ts'
import type { Control } from './control.ts'
import { inOrder } from './in-turn.ts'
import { timeText } from './written-times.ts'

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
    path: '/health',
    summary: 'State of the gateway and of every configured target',
    query: NO_QUERY,
    body: NO_BODY,
    answer: healthSchema,
    handle({ control }): HealthView {
      const { ready, checks } = readinessOf(control.readiness())
      return {
        status: ready ? 'ok' : 'degraded',
        version: control.version,
        serving: control.serving,
        started_at: timeText(control.startedAtMs),
        checks,
        targets: configuredTargets(control).map(targetHealth),
      }
    },
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

function configuredTargets(control: Control): readonly TargetPlan[] {
  const targets = [...control.plan().models.values()].flatMap((model) => model.targets)
  return [...new Map(targets.map((target) => [target.id, target])).values()]
}

/** Nothing measures targets in this version, so nothing is claimed. */
function targetHealth({ id, provider, model }: TargetPlan): TargetHealth {
  return {
    target: id,
    provider: provider.name,
    model,
    state: 'unknown',
    circuit: null,
    set_aside_until: null,
    consecutive_failures: null,
    failure_share: null,
    latency_ms: null,
  }
}
