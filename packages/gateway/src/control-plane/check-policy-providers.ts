import { compileNames } from '../config/name-matcher.ts'
import type { PolicyConfig } from '../config/policy-config.ts'
import { didYouMean } from '../lib/did-you-mean.ts'
import { AdminError } from './admin-error.ts'
import type { Control } from './control.ts'

/**
 * Refuses a policy that names a provider which is neither configured nor in the catalogue: a slip of the keyboard. One of
 * the catalogue may be named before it has a credential.
 */
export function checkPolicyProviders(control: Control, policy: PolicyConfig, at: string): void {
  const known = new Set([...control.plan().providers.keys(), ...control.catalogue.keys()])
  const check = (name: string | undefined, path: string): void => {
    if (name === undefined || known.has(name)) return
    const problem = `no provider "${name}" is known${didYouMean(name, [...known])}`
    throw new AdminError('invalid_policy', `${path}: ${problem}`, { path })
  }
  check(policy.default_provider, `${at}default_provider`)
  for (const [index, { provider }] of (policy.providers ?? []).entries()) {
    check(provider, `${at}providers[${index}].provider`)
  }
  for (const [index, { match }] of (policy.limits ?? []).entries()) {
    const list = match?.providers ?? []
    for (const pattern of typeof list === 'string' ? [list] : list) {
      if ([...known].some(compileNames([pattern]))) continue
      check(pattern, `${at}limits[${index}].match.providers`)
    }
  }
}
