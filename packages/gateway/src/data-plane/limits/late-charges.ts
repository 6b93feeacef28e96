import type { LimitCharge, LimitPlan } from '../../contracts/limit.ts'
import { counterKey } from '../../lib/counter-key.ts'
import { limitFor } from '../../plan/compile-limit.ts'
import type { TargetPlan } from '../../plan/gateway-plan.ts'
import { headField } from '../http/request-head.ts'
import { known, publicModel, type RouteContext } from '../pipeline/request-context.ts'

/** Headers that name the caller's place in the hierarchy, honoured only with `trust_scope_headers`. */
const SCOPE_HEADERS: ReadonlyMap<string, string> = new Map([
  ['user', 'x-user-id'],
  ['team', 'x-team-id'],
  ['role', 'x-role'],
  ['rolegroup', 'x-llm-rolegroup'],
])
const MAX_VALUE_CHARS = 256

/** Every charge of the request but those that wait for a target. */
export function requestCharges(ctx: RouteContext): readonly LimitCharge[] {
  const { charges: fixed, lateLimits } = known(ctx.terms, 'terms')
  const charges = fixed.some(({ limit }) => limit.match !== null)
    ? fixed.filter(({ limit }) => !waitsForTarget(limit, ctx) && matchesRequest(limit, ctx))
    : fixed
  if (lateLimits.length === 0) return charges
  const all = [...charges]
  for (const limit of lateLimits) {
    if (waitsForTarget(limit, ctx) || !matchesRequest(limit, ctx)) continue
    addCharge(all, limit, callerValue(limit, ctx))
  }
  return all
}

/** The charges that an attempt at this target adds. */
export function targetCharges(ctx: RouteContext, target: TargetPlan): readonly LimitCharge[] {
  const charges: LimitCharge[] = []
  const { charges: fixed, lateLimits } = known(ctx.terms, 'terms')
  const asked = publicModel(ctx, target)
  for (const charge of fixed) {
    if (waitsForTarget(charge.limit, ctx) && matchesRequest(charge.limit, ctx, asked)) {
      charges.push(charge)
    }
  }
  for (const limit of lateLimits) {
    if (!waitsForTarget(limit, ctx) || !matchesRequest(limit, ctx, asked)) continue
    const providers = limit.match?.providers ?? null
    if (providers !== null && !providers(target.provider.name)) continue
    addCharge(charges, limit, targetValue(limit, ctx, target))
  }
  return charges
}

function addCharge(charges: LimitCharge[], limit: LimitPlan, value: string | null): void {
  const own = value === null ? null : limitFor(limit, value)
  if (value === null || own === null) return
  charges.push({ limit: own, value, counterKey: counterKey(limit.id, limit.scope, value) })
}

function matchesRequest(
  limit: LimitPlan,
  ctx: RouteContext,
  model = publicModel(ctx, null),
): boolean {
  const { match } = limit
  if (match === null) return true
  if (match.models !== null && !match.models(model)) return false
  return match.endpoints === null || match.endpoints(ctx.endpoint.endpoint)
}

/** With fallbacks, which model a limit on models counts is not known before. */
function waitsForTarget(limit: LimitPlan, ctx: RouteContext): boolean {
  if (limit.scope === 'provider' || limit.scope === 'target') return true
  if (limit.match === null) return false
  return limit.match.providers !== null || (limit.match.models !== null && hasFallbacks(ctx))
}

/** Whether it is open which public model answers: one may stand in, or any may. Those that stand in come last. */
export function hasFallbacks(ctx: RouteContext): boolean {
  const last = ctx.targets.at(-1)
  return last !== undefined && (last.fallback !== null || last.servesAs !== null)
}

function targetValue(limit: LimitPlan, ctx: RouteContext, target: TargetPlan): string | null {
  if (limit.scope === 'provider') return target.provider.name
  return limit.scope === 'target' ? target.id : callerValue(limit, ctx)
}

/** Whose counter it is; null when the caller names nobody on that level, so that the limit does not apply. */
function callerValue(limit: LimitPlan, ctx: RouteContext): string | null {
  const { record, subject } = known(ctx.key, 'key')
  const { scope } = limit
  switch (scope) {
    case 'global':
      return ''
    case 'key':
      return record.id
    case 'ip':
      return ctx.clientIp
    case 'team':
    case 'rolegroup':
    case 'role':
    case 'user':
      return headerValue(ctx, scope) ?? subject[scope]
    case 'provider':
    case 'target':
      return null
    default:
      return tagValue(ctx, scope.slice('tag:'.length))
  }
}

function headerValue(ctx: RouteContext, scope: string): string | null {
  if (!known(ctx.terms, 'terms').policy.trustScopeHeaders) return null
  const name = SCOPE_HEADERS.get(scope)
  const value = name === undefined ? null : headField(ctx.head, name)
  return value === null || value === '' || value.length > MAX_VALUE_CHARS ? null : value
}

function tagValue(ctx: RouteContext, tag: string): string | null {
  const { record } = known(ctx.key, 'key')
  for (const tags of [record.metadata, known(ctx.terms, 'terms').policy.metadata]) {
    if (Object.hasOwn(tags, tag)) return tags[tag] ?? null
  }
  return null
}
