import { createModelCatalogue } from './catalogue/model-catalogue.ts'
import { credentialsOf, syncFileKeys, withProviders } from './compose-core.ts'
import { type LoadedConfig, type LoadOptions, parseLoaded } from './config/load-config.ts'
import type { EventBus } from './contracts/event.ts'
import { type ComposedTargets, composeTargets } from './compose-targets.ts'
import { SYSTEM_CLOCK } from './lib/clock.ts'
import { createSecretRegistry, type SecretRegistry } from './observe/secret-registry.ts'
import { compilePlan } from './plan/compile-plan.ts'
import type { GatewayPlan } from './plan/gateway-plan.ts'
import { KeyRing } from './plan/key-ring.ts'
import { sandboxFacts } from './providers/sandbox/facts.ts'
import { PROVIDERS } from './registry.ts'
import type { SharedStore } from './workers/store-calls.ts'
import type { Change, PlanSource, WorkerStart } from './workers/messages.ts'

/** Configuration, policies and keys as the owner sent them, compiled here: it comes to the same plan. */
export class WorkerPlan {
  readonly keyRing: KeyRing
  readonly targets: ComposedTargets
  readonly secrets: SecretRegistry = createSecretRegistry()
  loaded: LoadedConfig
  plan: GatewayPlan
  readonly #load: LoadOptions
  readonly #catalogue: Map<string, (typeof PROVIDERS)[number]>
  readonly #models = createModelCatalogue()

  constructor(
    start: WorkerStart,
    tell: {
      readonly events: Pick<EventBus, 'emit'>
      readonly store: SharedStore
      readonly onProblem: (problem: string) => void
    },
  ) {
    const { configPath, ...load } = start.load
    this.#load = configPath === null ? load : { ...load, configPath }
    this.#catalogue = new Map(PROVIDERS.map((facts) => [facts.id, facts]))
    if (start.sandboxUrl !== null) {
      const facts = sandboxFacts(start.sandboxUrl)
      this.#catalogue.set(facts.id, facts)
    }
    this.loaded = this.#read(start)
    this.plan = this.#compile(start)
    for (const secret of [...start.hashKeys, start.adminToken]) this.secrets.add(secret)
    this.#hide()
    this.keyRing = new KeyRing({
      hashKeys: start.hashKeys,
      plan: this.plan,
      onProblem: (record, problem) =>
        tell.onProblem(`The key ${record.id} is refused: ${problem.message}`),
    })
    this.keyRing.replaceAll(start.keys)
    this.targets = composeTargets(() => this.plan, {
      ...tell,
      options: { onStoreProblem: tell.onProblem },
    })
  }

  #use(source: PlanSource): void {
    this.loaded = this.#read(source)
    this.plan = this.#compile(source)
    this.#hide()
    this.targets.book.usePlan(this.plan, SYSTEM_CLOCK.monotonicMs())
    this.keyRing.usePlan(this.plan)
    syncFileKeys(this.keyRing, this.loaded.config)
  }

  change(change: Change): void {
    switch (change.kind) {
      case 'plan':
        this.#use(change)
        break
      case 'reset-targets':
        // What cannot be deleted in the store now is out of date soon.
        void this.targets.control.reset(change.target).catch(() => {})
        break
      case 'put-key':
        this.keyRing.put(change.key)
        break
      case 'remove-key':
        this.keyRing.remove(change.id)
        break
      case 'all-keys':
        this.keyRing.replaceAll(change.keys)
        break
    }
  }

  #read({ file, text }: PlanSource): LoadedConfig {
    return withProviders(parseLoaded(this.#load, file, text), this.#load.env)
  }

  #compile({ storedPolicies, storedAliases, revision }: PlanSource): GatewayPlan {
    return compilePlan({
      config: this.loaded.config,
      catalogue: this.#catalogue,
      models: this.#models,
      storedPolicies,
      storedAliases,
      revision,
      env: this.#load.env,
    })
  }

  #hide(): void {
    for (const secret of credentialsOf(this.plan)) this.secrets.add(secret)
  }
}
