import type { CandidateView, RouteDecision } from '../contracts/routing.ts'
import type { RouteCandidateView, RouteDecisionView } from './routing-api.ts'

/** Why a request went where it went, in the names of the admin API. */
export function decisionView(decision: RouteDecision): RouteDecisionView {
  const { strategy, mode, alias, variant, reason, arm, candidates } = decision
  return {
    strategy,
    mode,
    alias,
    variant,
    reason,
    ...(arm === undefined ? {} : { arm }),
    candidates: candidates.map(candidateView),
  }
}

function candidateView(view: CandidateView): RouteCandidateView {
  const { costNanoUsd, savedNanoUsd, latencyMs, failureShare, inFlight, ...same } = view
  return {
    ...same,
    ...(costNanoUsd === undefined ? {} : { cost_nanousd: costNanoUsd }),
    ...(savedNanoUsd === undefined ? {} : { saved_nanousd: savedNanoUsd }),
    ...(latencyMs === undefined ? {} : { latency_ms: latencyMs }),
    ...(failureShare === undefined ? {} : { failure_share: failureShare }),
    ...(inFlight === undefined ? {} : { in_flight: inFlight }),
  }
}
