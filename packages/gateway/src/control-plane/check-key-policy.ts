import { checkPolicyProviders } from './check-policy-providers.ts'
import { parsePolicy } from '../config/policy-schema.ts'
import type { KeyRecord } from '../contracts/key.ts'
import { checkKey } from '../plan/compile-key.ts'
import type { PolicyConflict } from '../plan/sourced.ts'
import { PlanError } from '../plan/plan-error.ts'
import { AdminError, configProblems } from './admin-error.ts'
import type { Control } from './control.ts'

/**
 * Refuses a key whose policy is not valid, names something unknown, or would be looser than what it inherits.
 *
 * `before` is the key as it was: what it already had without effect is not held against a change of something else.
 * Throws `invalid_policy` or `policy_conflict`, with the field.
 */
export function checkKeyPolicy(control: Control, key: KeyRecord, before: KeyRecord | null): void {
  const own = parsePolicy(key.policy, ['policy'])
  if (!own.ok) throw configProblems('invalid_policy', own.problems)
  checkPolicyProviders(control, own.policy, 'policy.')
  const layers = control.plan().policies
  const known = before === null ? [] : conflictsOf(() => checkKey(before, layers))
  const fresh = checkKey(key, layers).find((one) => !known.some((old) => isSame(old, one)))
  if (fresh === undefined) return
  const path = fresh.from === 'key' ? `policy.${fresh.field}` : 'policies'
  const whose = fresh.from === 'key' ? path : `${fresh.from}.${fresh.field}`
  throw new AdminError('policy_conflict', `${whose}: ${fresh.problem}`, { path })
}

/** A key that cannot be compiled any more had no conflicts to keep. */
function conflictsOf(check: () => readonly PolicyConflict[]): readonly PolicyConflict[] {
  try {
    return check()
  } catch (thrown) {
    if (thrown instanceof PlanError) return []
    throw thrown
  }
}

function isSame(a: PolicyConflict, b: PolicyConflict): boolean {
  return a.from === b.from && a.field === b.field && a.problem === b.problem
}
