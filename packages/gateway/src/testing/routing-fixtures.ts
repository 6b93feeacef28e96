import {
  BUILT_IN_MODES,
  type ModeWeights,
  NO_HINTS,
  NO_NEEDS,
  type TargetBlock,
  type TargetBook,
  type TargetSignals,
} from '../contracts/routing.ts'
import type { Price } from '../contracts/price.ts'
import { Rotations } from '../data-plane/routing/rotations.ts'
import type { SelectQuery } from '../data-plane/routing/select-query.ts'
import { ThompsonBandit, USUAL_FORGETTING } from '../data-plane/routing/thompson-bandit.ts'
import { seedOf } from '../lib/seeded-draw.ts'
import type { ProviderPlan, TargetPlan } from '../plan/gateway-plan.ts'
import { testPlan } from '../plan/testing/plan-fixtures.ts'

const PLAN = testPlan({
  providers: {
    here: { protocol: 'openai-chat', base_url: 'https://here.test', credential: 'none' },
    bare: { protocol: 'openai-chat', base_url: 'https://bare.test', credential: 'env:NOT_SET' },
  },
})
const SIMPLE = PLAN.onDemand.target(providerOf('here'), 'm')

function providerOf(name: string): ProviderPlan {
  const provider = PLAN.providers.get(name)
  if (provider === undefined) throw new Error(`the test has no provider ${name}`)
  return provider
}

/** Without a credential that is there. */
export const BARE_PROVIDER: ProviderPlan = providerOf('bare')

/** US dollars per million tokens, in and out. */
export function flatPrice(usd: number): Price {
  const pico = usd * 1e6
  const base = {
    inputPicoUsd: pico,
    outputPicoUsd: pico,
    cacheReadPicoUsd: pico,
    cacheWrite5mPicoUsd: pico,
    cacheWrite1hPicoUsd: pico,
    reasoningPicoUsd: null,
  }
  return { base, tiers: [] }
}

/** A target that nothing speaks against. */
export function routingTarget(id: string, over: Partial<TargetPlan> = {}): TargetPlan {
  const own = { id, healthId: id, address: id, model: id }
  return { ...SIMPLE, price: flatPrice(1), contextTokens: null, ...own, ...over }
}

const UNSEEN: TargetSignals = {
  state: 'healthy',
  circuit: 'closed',
  setAsideUntilMs: null,
  latencyMs: null,
  failureShare: 0,
  consecutiveFailures: 0,
  inFlight: 0,
}

/** What targets have shown, by id; `blocks`: those that nothing is sent to. */
export function fixedBook(
  signals: Readonly<Record<string, Partial<TargetSignals>>>,
  blocks: Readonly<Record<string, TargetBlock>> = {},
): TargetBook {
  const all = new Map(
    Object.entries(signals).map(([id, own]) => [id, { ...UNSEEN, ...own }] as const),
  )
  return {
    signals: (id) => all.get(id) ?? UNSEEN,
    blocked: (id) => blocks[id] ?? null,
    begin: () => null,
    beginAnyway: () => {
      throw new Error('a selection begins nothing')
    },
    answered: () => {},
    noteRates: () => {},
    end: () => {},
    slowLatencyMs: () => null,
  }
}

const EVEN: ModeWeights = { cost: 0.25, latency: 0.25, failure: 0.25, weight: 0.25 }

/** A request that asks for nothing special. */
export function selectQuery(seed: string, over: Partial<SelectQuery> = {}): SelectQuery {
  return {
    seed: seedOf(seed),
    seedText: seed,
    nowMs: 1000,
    wallMs: 1_800_000_000_000,
    strategy: 'priority',
    mode: null,
    weights: BUILT_IN_MODES['normal'] ?? EVEN,
    hints: NO_HINTS,
    needs: NO_NEEDS,
    size: { counted: null, boundTokens: 400, roughTokens: 100, outputCap: 100, choices: 1 },
    mustBePriced: false,
    arm: { size: 'small', tools: false },
    warm: null,
    checks: { permits: () => true, reaches: () => true, hasRoom: () => true },
    book: null,
    bandit: new ThompsonBandit(() => USUAL_FORGETTING),
    rotations: new Rotations(),
    ...over,
  }
}
