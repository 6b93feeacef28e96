import type { CandidateView, RouteDecision } from '../../contracts/routing.ts'
import type { ModelPlan, TargetPlan } from '../../plan/gateway-plan.ts'
import { seedOf } from '../../lib/seeded-draw.ts'
import { known, publicModel, type RouteContext } from '../pipeline/request-context.ts'
import { warmCacheOf } from './conversation-cache.ts'
import { enterFallback, type Entry } from './enter-route.ts'
import { noTargetError, serveAnyway } from './no-target.ts'
import { readNeeds } from './read-needs.ts'
import type { Examined } from './reject-target.ts'
import { RequestChecks } from './request-checks.ts'
import { requestSize } from './request-size.ts'
import { hintsFor, wayFor, type Way } from './route-way.ts'
import type { RequestSize, SelectQuery } from './select-query.ts'
import { select } from './selector.ts'
import { mustBePriced, termsBeside } from './terms-for.ts'

/** The candidates of one public model, in the words of the policy that holds for it. */
type Group = { readonly model: ModelPlan; readonly targets: readonly TargetPlan[] }

/** Asks the selector, for the model and for those that may stand in. Throws when nothing is left, and says why. */
export function chooseTargets(ctx: RouteContext, entry: Entry): void | Promise<void> {
  const groups = [ownGroup(ctx, entry), ...fallbackGroups(ctx)]
  const candidates = groups.flatMap(({ targets }) => targets)
  // What counts the input, and what peeks at limits, looks at all that may come to answer.
  ctx.targets = candidates
  const hints = hintsFor(ctx)
  const size = requestSize(ctx, candidates, hints.maxCostNanoUsd !== null)
  if (size instanceof Promise) return size.then((one) => decide(ctx, entry, { groups, size: one }))
  return decide(ctx, entry, { groups, size })
}

function ownGroup(ctx: RouteContext, { model }: Entry): Group {
  const own = (target: TargetPlan): TargetPlan => retargeted(ctx, target, publicModel(ctx, target))
  return { model, targets: model.targets.map(own) }
}

/** As the policy that holds for its public model wants it. One that has none here is refused by the checks. */
function retargeted(ctx: RouteContext, target: TargetPlan, name: string): TargetPlan {
  const own = termsBeside(known(ctx.key, 'key'), name, known(ctx.terms, 'terms'))
  return own?.policy.retarget?.(target) ?? target
}

/** Each is asked for as if the client had named it; one that nobody serves is passed over. */
function fallbackGroups(ctx: RouteContext): readonly Group[] {
  const names = known(ctx.terms, 'terms').policy.retry?.fallbacks ?? []
  return names.flatMap((name): readonly Group[] => {
    const entry = enterFallback(ctx, name)
    if (entry === null) return []
    const targets = entry.model.targets.map((target): TargetPlan => {
      const fallback = target.servesAs ?? entry.name
      return { ...retargeted(ctx, target, fallback), fallback }
    })
    return [{ model: entry.model, targets }]
  })
}

type Chosen = { readonly groups: readonly Group[]; readonly size: RequestSize }

function decide(ctx: RouteContext, entry: Entry, { groups, size }: Chosen): void {
  const way = wayFor(ctx, entry.model)
  const query = queryFor(ctx, { way, size, targets: ctx.targets })
  const order: TargetPlan[] = []
  const placed: CandidateView[] = []
  const refused: CandidateView[] = []
  const rejected: Examined[] = []
  for (const { model, targets } of groups) {
    const own = model === entry.model ? query : { ...query, ...wayFor(ctx, model) }
    const selection = select(targets, own, model.name)
    order.push(...selection.order)
    placed.push(...selection.candidates.slice(0, selection.order.length))
    refused.push(...selection.candidates.slice(selection.order.length))
    rejected.push(...selection.rejected)
  }
  ctx.decision = decisionOf(entry, query, [...placed, ...refused])
  ctx.targets = order.length > 0 ? order : serveAnyway(ctx, rejected)
  if (ctx.targets.length === 0) throw noTargetError(ctx, rejected)
}

function decisionOf(
  { model, name, alias }: Entry,
  { strategy, mode, arm }: SelectQuery,
  candidates: readonly CandidateView[],
): RouteDecision {
  return {
    strategy,
    mode,
    alias,
    variant: alias === null ? null : name,
    reason: alias === null ? model.reason : 'alias',
    ...(strategy === 'thompson' ? { arm } : {}),
    candidates,
  }
}

type QueryParts = {
  readonly way: Way
  readonly size: RequestSize
  readonly targets: readonly TargetPlan[]
}

const SMALL_TOKENS = 1000
const LARGE_TOKENS = 10_000

function queryFor(ctx: RouteContext, { way, size, targets }: QueryParts): SelectQuery {
  const { bandit, clock, rotations, targets: book } = ctx.dataPlane
  const needs = readNeeds(ctx, way.strategy === 'thompson' || targets.some(isLacking))
  const { roughTokens } = size
  const isMedium = roughTokens >= SMALL_TOKENS && roughTokens <= LARGE_TOKENS
  const isSmall = roughTokens < SMALL_TOKENS
  return {
    ...way,
    seed: seedOf(ctx.requestId),
    seedText: ctx.requestId,
    nowMs: clock.monotonicMs(),
    wallMs: clock.wallMs(),
    hints: hintsFor(ctx),
    needs,
    size,
    mustBePriced: mustBePriced(ctx, known(ctx.terms, 'terms')),
    arm: { size: isSmall ? 'small' : isMedium ? 'medium' : 'large', tools: needs.tools },
    checks: new RequestChecks(ctx),
    book,
    warm: warmCacheOf(ctx),
    bandit,
    rotations,
  }
}

function isLacking({ lacks }: TargetPlan): boolean {
  return lacks !== null
}
