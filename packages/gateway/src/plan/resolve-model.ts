import { settledDecision } from './settled-decision.ts'
import type { GatewayPlan, KeyPlan, ModelPlan, ProviderPlan, TargetPlan } from './gateway-plan.ts'

const MAX_NAME_LENGTH = 256
/** White space and control characters never stand in a model's name; a dot segment would leave the provider's path. */
const ODD_NAME = /[\s\p{Cc}]|(?:^|\/)\.{1,2}(?:\/|$)/u

/**
 * What a requested name stands for; null when nobody serves it.
 *
 * In this order: a model of the configuration; `provider/model` (the model may hold slashes); the key's provider entries
 * and its default provider; the only provider whose catalogue knows exactly this id. Whether the key may use it is asked
 * elsewhere.
 */
export function resolveModel(plan: GatewayPlan, key: KeyPlan, requested: string): ModelPlan | null {
  const model = plan.models.get(requested)
  if (model !== undefined) return model
  if (requested === '' || requested.length > MAX_NAME_LENGTH || ODD_NAME.test(requested))
    return null
  const explicit = explicitTarget(plan, requested)
  if (explicit !== null) return modelOf(requested, explicit, 'explicit')
  const target = chosenTarget(plan, key, requested) ?? knownTarget(plan, requested)
  return target === null ? null : modelOf(requested, target, 'model')
}

/** Whether a name that no key stands behind means something: what the file or an administrator may write. */
export function isServed(plan: Servers, name: string): boolean {
  if (plan.models.has(name)) return true
  const slash = name.indexOf('/')
  if (slash > 0 && plan.providers.has(name.slice(0, slash))) return name.length > slash + 1
  return plan.onDemand.providersKnowing(name).length === 1
}

type Servers = Pick<GatewayPlan, 'models' | 'providers' | 'onDemand'>

function explicitTarget(plan: GatewayPlan, requested: string): TargetPlan | null {
  const slash = requested.indexOf('/')
  const provider = slash <= 0 ? undefined : plan.providers.get(requested.slice(0, slash))
  const model = requested.slice(slash + 1)
  return provider === undefined || model === '' ? null : plan.onDemand.target(provider, model)
}

/** An entry that names a provider which is not configured serves nothing; it does not fall through to another. */
function chosenTarget(plan: GatewayPlan, key: KeyPlan, requested: string): TargetPlan | null {
  const { policy } = key
  const entry = policy.providerEntries.find(({ matches }) => matches === null || matches(requested))
  const name = entry?.provider ?? policy.defaultProvider
  return name === null || name === undefined
    ? null
    : targetAt(plan, plan.providers.get(name), requested)
}

function knownTarget(plan: GatewayPlan, requested: string): TargetPlan | null {
  const knowing = plan.onDemand.providersKnowing(requested)
  const [only] = knowing
  return only === undefined || knowing.length > 1
    ? null
    : targetAt(plan, plan.providers.get(only), requested)
}

function targetAt(
  plan: GatewayPlan,
  provider: ProviderPlan | undefined,
  model: string,
): TargetPlan | null {
  return provider === undefined ? null : plan.onDemand.target(provider, model)
}

/** A target has at most two names: with its provider and bare. They live as long as the target is kept. */
const MODELS_OF_TARGETS = new WeakMap<TargetPlan, Map<string, ModelPlan>>()

function modelOf(name: string, target: TargetPlan, reason: 'explicit' | 'model'): ModelPlan {
  let models = MODELS_OF_TARGETS.get(target)
  if (models === undefined) {
    models = new Map()
    MODELS_OF_TARGETS.set(target, models)
  }
  let model = models.get(name)
  if (model === undefined) {
    const targets = [target]
    const settled = settledDecision(targets, 'priority', reason)
    model = { name, targets, strategy: 'priority', reason, settled }
    models.set(name, model)
  }
  return model
}
