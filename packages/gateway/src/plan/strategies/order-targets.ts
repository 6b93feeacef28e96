import type { ModelConfig } from '../../config/gateway-config.ts'
import type { ModelPlan, TargetPlan } from '../gateway-plan.ts'

type Order = ModelPlan['order']

/** Every order that can come out is made once, so that a request only picks one. */
export function orderBy(strategy: ModelConfig['strategy'], targets: readonly TargetPlan[]): Order {
  if (targets.length === 1) return () => targets
  if (strategy === 'weighted') return weighted(targets)
  return strategy === 'round_robin' ? roundRobin(targets) : () => targets
}

/** The first is drawn by weight; the others follow as written. With no weight at all, all are alike. */
function weighted(targets: readonly TargetPlan[]): Order {
  const total = targets.reduce((sum, target) => sum + target.weight, 0)
  const orders = targets.map((first) => [first, ...targets.filter((target) => target !== first)])
  const bounds: number[] = []
  let sum = 0
  for (const target of targets) {
    sum += total === 0 ? 1 / targets.length : target.weight / total
    bounds.push(sum)
  }
  const lastWithWeight = targets.findLastIndex((target) => total === 0 || target.weight > 0)
  return (draw) => {
    const index = bounds.findIndex((bound) => draw < bound)
    return orders[index === -1 ? lastWithWeight : index] ?? targets
  }
}

/** One place further per request. The count lives as long as the plan. */
function roundRobin(targets: readonly TargetPlan[]): Order {
  const orders = targets.map((_, i) => [...targets.slice(i), ...targets.slice(0, i)])
  let next = 0
  return () => {
    const order = orders[next] ?? targets
    next = (next + 1) % orders.length
    return order
  }
}
