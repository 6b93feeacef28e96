import type { GatewayConfig } from '../config/gateway-config.ts'
import type { ModelCatalogue } from '../contracts/catalogue.ts'
import type { PolicyRecord } from '../contracts/key.ts'
import type { ProviderFacts } from '../contracts/provider.ts'
import type { GatewayPlan } from './gateway-plan.ts'

export type PlanInput = {
  readonly config: GatewayConfig
  readonly catalogue: ReadonlyMap<string, ProviderFacts>
  readonly models: ModelCatalogue
  /** Named policies of the store. One with the name of a policy of the file is refused. */
  readonly storedPolicies: readonly PolicyRecord[]
  readonly revision: number
  /** Where credentials that the catalogue names are looked up. */
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Throws `PlanError`. */
export function compilePlan(input: PlanInput): GatewayPlan {
  throw new Error(`not yet: revision ${input.revision}`)
}
