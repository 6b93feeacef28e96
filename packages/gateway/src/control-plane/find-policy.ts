import type { PolicyView } from './admin-api.ts'
import { AdminError } from './admin-error.ts'
import type { Control } from './control.ts'
import { sortedBy } from './list-page.ts'
import { timeText } from './written-times.ts'

/** Named policies of the file and of the store, by name. One of the file hides a stored one of the same name. */
export async function allPolicies(control: Control): Promise<readonly PolicyView[]> {
  const stored = (await control.store.policies.list())
    .filter(({ name }) => !isFilePolicy(control, name))
    .map(
      (record): PolicyView => ({
        name: record.name,
        owner: 'api',
        policy: record.policy,
        created_at: timeText(record.createdAtMs),
        updated_at: timeText(record.updatedAtMs),
      }),
    )
  const ofFile = Object.entries(control.config().config.policies).map(
    ([name, policy]): PolicyView => ({
      name,
      owner: 'file',
      policy: { ...policy },
      created_at: null,
      updated_at: null,
    }),
  )
  return sortedBy([...stored, ...ofFile], ({ name }) => name)
}

/** Throws `not_found`. */
export async function findPolicy(control: Control, name: string): Promise<PolicyView> {
  const found = (await allPolicies(control)).find((policy) => policy.name === name)
  if (found === undefined) throw new AdminError('not_found', 'No policy has this name.')
  return found
}

export function isFilePolicy(control: Control, name: string): boolean {
  return Object.hasOwn(control.config().config.policies, name)
}
