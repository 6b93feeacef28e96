import { entryName } from '../config/schema-parts.ts'
import { parsePolicy } from '../config/policy-schema.ts'
import { validate } from '../config/validate.ts'
import type { PolicyRecord } from '../contracts/key.ts'
import { isRecord } from '../lib/is-record.ts'
import { mergePatch } from '../lib/merge-patch.ts'
import { mergePolicies } from '../plan/merge-policy.ts'
import { checkUpstream } from '../plan/route-upstream.ts'
import type { JsonObject } from './admin-api.ts'
import { AdminError, configProblems } from './admin-error.ts'
import { checkPolicyProviders } from './check-policy-providers.ts'
import { checkUpstreamAddresses } from './check-upstream-addresses.ts'
import type { Control } from './control.ts'
import { allKeys } from './find-key.ts'
import { isFilePolicy } from './find-policy.ts'
import { inTurn } from './in-turn.ts'
import { keyReference } from './key-view.ts'

/** Paths of their own, so no policy can have these names. */
const RESERVED_NAMES: ReadonlySet<string> = new Set(['simulate', 'replay'])

/** Makes or replaces a stored policy. Every key that names it has it from the very next request on. Throws `AdminError`. */
export function putPolicy(
  control: Control,
  name: string,
  policy: JsonObject,
): Promise<PolicyRecord> {
  return inTurn(control.store, async () => {
    checkName(control, name)
    return await writePolicy(control, name, policy)
  })
}

/** RFC 7396: null removes. Throws `AdminError`; then nothing was changed. */
export function patchPolicy(
  control: Control,
  name: string,
  patch: JsonObject,
): Promise<PolicyRecord> {
  return inTurn(control.store, async () => {
    checkName(control, name)
    const before = await storedPolicy(control, name)
    const patched = mergePatch(before.policy, patch)
    return await writePolicy(control, name, isRecord(patched) ? patched : {})
  })
}

/** Refused with `policy_in_use` while a key that is not revoked names it. */
export function deletePolicy(control: Control, name: string): Promise<void> {
  return inTurn(control.store, async () => {
    checkName(control, name)
    const before = await storedPolicy(control, name)
    const users = (await allKeys(control)).filter(
      ({ policies, revokedAtMs }) => revokedAtMs === null && policies.includes(name),
    )
    if (users.length > 0) {
      const names = users.map((key) => `"${key.name}"`).join(', ')
      throw new AdminError('policy_in_use', `Keys use the policy "${name}": ${names}.`, {
        keys: users.map(keyReference),
      })
    }
    await control.store.policies.delete(name)
    await recompileOr(control, () => control.store.policies.put(before))
    control.events.emit('policy.deleted', { name })
  })
}

async function writePolicy(
  control: Control,
  name: string,
  policy: JsonObject,
): Promise<PolicyRecord> {
  checkPolicy(control, name, policy)
  await checkUpstreamAddresses(control, policy)
  const before = await control.store.policies.get(name)
  const nowMs = control.clock.wallMs()
  const record: PolicyRecord = {
    name,
    policy,
    createdAtMs: before?.createdAtMs ?? nowMs,
    updatedAtMs: nowMs,
  }
  await control.store.policies.put(record)
  await recompileOr(control, async () => {
    if (before === null) await control.store.policies.delete(name)
    else await control.store.policies.put(before)
  })
  control.events.emit('policy.updated', { name, created: before === null })
  return record
}

/** A stored policy can contradict a key of the file, and then the plan does not compile: the change is taken back. */
async function recompileOr(control: Control, undo: () => Promise<void>): Promise<void> {
  try {
    await control.recompile()
  } catch (thrown) {
    await undo()
    throw thrown
  }
}

function checkPolicy(control: Control, name: string, policy: JsonObject): void {
  const parsed = parsePolicy(policy)
  if (!parsed.ok) throw configProblems('invalid_policy', parsed.problems)
  checkPolicyProviders(control, parsed.policy, '')
  const { global, operator } = control.plan().policies
  checkUpstream(parsed.policy, operator, '')
  const { conflicts } = mergePolicies([
    { from: 'policy', policy: global },
    { from: name, policy: parsed.policy },
  ])
  const [conflict] = conflicts
  if (conflict === undefined) return
  throw new AdminError('policy_conflict', `${conflict.field}: ${conflict.problem}`, {
    path: conflict.field,
  })
}

async function storedPolicy(control: Control, name: string): Promise<PolicyRecord> {
  const record = await control.store.policies.get(name)
  if (record === null) throw new AdminError('not_found', 'No policy has this name.')
  return record
}

function checkName(control: Control, name: string): void {
  const result = validate(entryName, name)
  const problem = result.ok ? null : (result.findings[0]?.message ?? 'is no valid name')
  if (problem !== null || RESERVED_NAMES.has(name)) {
    throw new AdminError('invalid_request', `name: ${problem ?? `"${name}" is reserved`}`, {
      path: 'name',
    })
  }
  if (!isFilePolicy(control, name)) return
  throw new AdminError(
    'file_owned',
    `The policy "${name}" stands under policies in the configuration file; change it there.`,
  )
}
