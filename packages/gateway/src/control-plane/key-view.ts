import type { KeyRecord } from '../contracts/key.ts'
import type { KeyReference, KeyState, KeyView } from './admin-api.ts'
import { isRefusedAsOverdue } from '../plan/compile-key.ts'
import { rotationDueAtMs } from '../plan/rotation.ts'
import type { Control } from './control.ts'
import { durationText, timeText } from './written-times.ts'

/** A key as the admin API shows it: neither the secret nor its hash. */
export function keyView(control: Control, key: KeyRecord, owner: KeyView['owner']): KeyView {
  const nowMs = control.clock.wallMs()
  const oldUntilMs = key.previousHashUntilMs
  return {
    id: key.id,
    name: key.name,
    last4: key.last4,
    state: keyState(control, key),
    owner,
    expires_at: timeText(key.expiresAtMs),
    enabled: key.enabled,
    revoked_at: timeText(key.revokedAtMs),
    scopes: key.scopes,
    subject: key.subject,
    policy: key.policy,
    policies: key.policies,
    metadata: key.metadata,
    created_at: owner === 'file' ? null : timeText(key.createdAtMs),
    created_by: key.createdBy,
    updated_at: owner === 'file' ? null : timeText(key.updatedAtMs),
    last_used_at: timeText(key.lastUsedAtMs),
    rotated_at: timeText(key.rotatedAtMs),
    rotate_every: durationText(key.rotateEveryMs),
    rotation_due_at: timeText(rotationDueAtMs(key)),
    previous_valid_until: oldUntilMs !== null && oldUntilMs > nowMs ? timeText(oldUntilMs) : null,
  }
}

/** The gravest reason why a key is refused, or `active`. */
export function keyState(
  control: Pick<Control, 'clock' | 'plan'>,
  key: KeyRecord,
  nowMs: number = control.clock.wallMs(),
): KeyState {
  if (key.revokedAtMs !== null) return 'revoked'
  if (!key.enabled) return 'disabled'
  if (key.expiresAtMs !== null && nowMs >= key.expiresAtMs) return 'expired'
  return isRefusedAsOverdue(key, control.plan().policies, nowMs) ? 'overdue' : 'active'
}

export function keyReference({ id, name }: KeyRecord): KeyReference {
  return { id, name }
}
