import type { PolicyConfig } from '../config/policy-config.ts'

/** One policy in the chain. `from` says whose it is: `policy`, `teams.x.policy`, `policies.x`, `key`. */
export type PolicyLayer = { readonly from: string; readonly policy: PolicyConfig }

/** A value and the layer that set it. `open`: later layers may loosen it. */
export type Sourced<T> = { readonly value: T; readonly from: string; readonly open: boolean }

/** A later policy tried to be looser than what it inherits. What it inherits holds. */
export type PolicyConflict = {
  readonly from: string
  readonly field: string
  readonly problem: string
}

export function sourced<T>(value: T, layer: PolicyLayer, field: string): Sourced<T> {
  const open = layer.policy.overridable?.includes(field) ?? false
  return { value, from: layer.from, open }
}

/** One more constraint; those of open layers give way. */
export function addScalar<T>(
  inherited: readonly Sourced<T>[],
  layer: PolicyLayer,
  own: {
    readonly field: string
    readonly value: T | undefined
    readonly looser: (value: T, before: T) => boolean
    readonly conflicts: PolicyConflict[]
  },
): readonly Sourced<T>[] {
  const { value, field } = own
  if (value === undefined) return inherited
  const kept = inherited.filter(({ open }) => !open)
  const stricter = kept.find((before) => own.looser(value, before.value))
  if (stricter !== undefined) {
    own.conflicts.push({
      from: layer.from,
      field,
      problem: `${String(value)} is looser than ${String(stricter.value)}, which ${stricter.from} sets and does not mark overridable`,
    })
  }
  return [...kept, sourced(value, layer, field)]
}

/** A cap: the smaller, the stricter. */
export function addNumber(
  inherited: readonly Sourced<number>[],
  layer: PolicyLayer,
  own: {
    readonly field: string
    readonly value: number | undefined
    readonly conflicts: PolicyConflict[]
  },
): readonly Sourced<number>[] {
  return addScalar(inherited, layer, { ...own, looser: (value, before) => value > before })
}

/** The number that counts where several hold. */
export function strictest(constraints: readonly Sourced<number>[]): number | null {
  return constraints.length === 0 ? null : Math.min(...constraints.map(({ value }) => value))
}
