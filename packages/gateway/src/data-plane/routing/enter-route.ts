import { GatewayError } from '../../errors/gateway-error.ts'
import { drawAt, seedOf } from '../../lib/seeded-draw.ts'
import { WILDCARDS } from '../../plan/compile-routing.ts'
import type { AliasPlan, AliasVariant, ModelPlan } from '../../plan/gateway-plan.ts'
import { resolveModel } from '../../plan/resolve-model.ts'
import { usableVariants } from '../../plan/usable-variants.ts'
import { sessionOf } from '../http/session-of.ts'
import { known, type RouteContext } from '../pipeline/request-context.ts'
import { takeTurn } from './rotations.ts'

/** What the requested name came to. `name`: the public model; of `*`, the wildcard itself. */
export type Entry = {
  readonly model: ModelPlan
  readonly name: string
  readonly alias: string | null
}

/** Resolves the name that was asked for, an alias at most once. Throws when nobody serves it, or the key may not use it. */
export function enterRoute(ctx: RouteContext, requested: string): Entry {
  const entry = findEntry(ctx, requested)
  if (typeof entry === 'object') return entry
  const problem =
    entry === 'model_not_found'
      ? `No configured provider serves the model "${requested}".`
      : `This key may not use the model "${requested}".`
  throw new GatewayError(entry, problem, { details: { param: 'model' } })
}

/** Null: nobody serves it, or the key may not use it. */
export function enterFallback(ctx: RouteContext, name: string): Entry | null {
  const entry = findEntry(ctx, name)
  return typeof entry === 'object' ? entry : null
}

type NoEntry = 'model_not_found' | 'model_not_allowed'

function findEntry(ctx: RouteContext, requested: string): Entry | NoEntry {
  const key = known(ctx.key, 'key')
  const { aliases, wildcard } = ctx.plan.routing
  const alias = aliases?.get(requested)
  if (alias !== undefined && alias.enabled) return enterAlias(ctx, alias)
  if (WILDCARDS.has(requested)) {
    if (wildcard !== null && ctx.endpoint.translated) {
      return { model: wildcard, name: requested, alias: null }
    }
    // Some vendors have a model that is called `auto`; none has one that is called `*`.
    if (requested === '*') return 'model_not_found'
  }
  const model = resolveModel(ctx.plan, key, requested)
  return model === null ? 'model_not_found' : { model, name: requested, alias: null }
}

function enterAlias(ctx: RouteContext, alias: AliasPlan): Entry | NoEntry {
  const key = known(ctx.key, 'key')
  const variant = chooseVariant(ctx, alias, usableVariants(ctx.plan, key, alias))
  if (variant === null) return 'model_not_allowed'
  const model = resolveModel(ctx.plan, key, variant.model)
  return model === null ? 'model_not_found' : { model, name: variant.model, alias: alias.name }
}

function chooseVariant(
  ctx: RouteContext,
  alias: AliasPlan,
  variants: readonly AliasVariant[],
): AliasVariant | null {
  const [only] = variants
  if (only === undefined || variants.length === 1) return only ?? null
  if (alias.sticky !== 'round_robin') return variantFor(alias, variants, stickyValue(ctx, alias))
  const takers = variants.map((variant) => ({ ...variant, id: variant.model }))
  const [turn] = takeTurn(takers, ctx.dataPlane.rotations.of(`alias ${alias.name}`))
  return turn ?? null
}

/** What stays with its variant: a session that is not named falls back to the key. */
function stickyValue(ctx: RouteContext, { sticky }: AliasPlan): string {
  if (sticky === 'request') return ctx.requestId
  const session = sticky === 'session' ? sessionOf(ctx.head) : null
  return session ?? known(ctx.key, 'key').record.id
}

/**
 * The same value comes to the same variant; over many values the weights hold. Each variant draws for itself, so that a
 * changed or added one takes over only what it wins, and all other values stay where they are.
 */
export function variantFor(
  alias: Pick<AliasPlan, 'name'>,
  variants: readonly AliasVariant[],
  value: string,
): AliasVariant | null {
  let best: AliasVariant | null = null
  let least = Infinity
  for (const variant of variants) {
    const seed = seedOf(`${alias.name}\n${value}\n${variant.model}`)
    const time = -Math.log(drawAt(seed, 0)) / variant.weight
    if (time >= least) continue
    least = time
    best = variant
  }
  return best
}
