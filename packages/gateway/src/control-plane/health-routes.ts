import type { TargetSignals } from '../contracts/routing.ts'
import { readinessOf } from '../lib/readiness.ts'
import type { TargetPlan } from '../plan/gateway-plan.ts'
import type { HealthReset, HealthView, TargetHealth } from './admin-api.ts'
import { AdminError } from './admin-error.ts'
import { jsonRoute, NO_BODY, NO_QUERY, type AdminRoute } from './admin-route.ts'
import { healthResetSchema, healthSchema } from './answer-schemas.ts'
import type { Control } from './control.ts'
import { resetHealthBody } from './request-schemas.ts'
import { timeText } from './written-times.ts'

export const HEALTH_ROUTES: readonly AdminRoute[] = [
  jsonRoute({
    method: 'GET',
    path: '/health',
    summary: 'State of the gateway, and of every target that is configured or was called',
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
        targets: targetsOf(control),
      }
    },
  }),
  jsonRoute({
    method: 'POST',
    path: '/health/reset',
    summary: 'Forget what one target, or every target, has shown: it is tried again at once',
    query: NO_QUERY,
    body: resetHealthBody,
    answer: healthResetSchema,
    handle: ({ control, body }) => reset(control, body.target ?? null),
  }),
  jsonRoute({
    method: 'POST',
    path: '/health/{target}/reset',
    summary: 'Forget what one target has shown. Its id is URL-encoded',
    query: NO_QUERY,
    body: NO_BODY,
    answer: healthResetSchema,
    handle: ({ control, param }) => reset(control, param('target')),
  }),
]

async function reset(control: Control, target: string | null): Promise<HealthReset> {
  if (!control.serving) throw new AdminError('not_available', 'Only a running server has targets.')
  const isKnown = target === null || control.targets.isKnown(target) || declares(control, target)
  if (!isKnown)
    throw new AdminError('not_found', 'No target of this id is configured or was called.')
  const targets = await control.targets.reset(target)
  return { reset: targets }
}

function declares(control: Control, target: string): boolean {
  return configuredTargets(control).some(({ healthId }) => healthId === target)
}

function targetsOf(control: Control): readonly TargetHealth[] {
  const configured = configuredTargets(control)
  if (!control.serving) return configured.map(unknown)
  const nowMs = control.clock.monotonicMs()
  const wallMs = control.clock.wallMs() - nowMs
  const seen = new Map(control.targets.list(nowMs).map((one) => [one.target, one]))
  const own = configured.map((target) => {
    const signals = control.targets.signals(target.healthId, nowMs)
    seen.delete(target.healthId)
    return health(placeOf(target), signals, wallMs)
  })
  const others = [...seen.values()].map((one) =>
    health(placeOfId(control, one.target), one, wallMs),
  )
  return [...own, ...others]
}

function configuredTargets(control: Control): readonly TargetPlan[] {
  const targets = [...control.plan().models.values()].flatMap((model) => model.targets)
  return [...new Map(targets.map((target) => [target.id, target])).values()]
}

type Place = Pick<TargetHealth, 'target' | 'provider' | 'model'>

function placeOf({ healthId, provider, model }: TargetPlan): Place {
  return { target: healthId, provider: provider.name, model }
}

/** `provider/model`; of a target that a policy changed, behind it what tells it apart. */
function placeOfId(control: Control, target: string): Place {
  const [id = ''] = target.split(' ', 1)
  const declared = configuredTargets(control).find((one) => one.healthId === id)
  if (declared !== undefined) return { ...placeOf(declared), target }
  const slash = id.indexOf('/')
  return { target, provider: id.slice(0, Math.max(0, slash)), model: id.slice(slash + 1) }
}

const DIGITS = 1000

function health(place: Place, signals: TargetSignals, wallMs: number): TargetHealth {
  const { setAsideUntilMs: until, latencyMs } = signals
  return {
    ...place,
    state: signals.state,
    circuit: signals.circuit,
    set_aside_until: until === null ? null : timeText(Math.ceil(until + wallMs)),
    consecutive_failures: signals.consecutiveFailures,
    failure_share: Math.round(signals.failureShare * DIGITS) / DIGITS,
    latency_ms: latencyMs === null ? null : Math.round(latencyMs * DIGITS) / DIGITS,
    in_flight: signals.inFlight,
  }
}

/** Nothing measures targets without a server, so nothing is claimed. */
function unknown(target: TargetPlan): TargetHealth {
  return {
    ...placeOf(target),
    state: 'unknown',
    circuit: null,
    set_aside_until: null,
    consecutive_failures: null,
    failure_share: null,
    latency_ms: null,
    in_flight: null,
  }
}
