import type { KeyRecord } from '../contracts/key.ts'

/** A caller that has no key: nothing but the global policy holds for it. No secret is its own. */
export function namelessKey(id: string, createdBy: string): KeyRecord {
  return {
    id,
    name: id,
    last4: '',
    hash: '',
    previousHash: null,
    previousHashUntilMs: null,
    createdAtMs: 0,
    createdBy,
    updatedAtMs: 0,
    lastUsedAtMs: null,
    expiresAtMs: null,
    enabled: true,
    revokedAtMs: null,
    rotateEveryMs: null,
    rotatedAtMs: null,
    scopes: [],
    subject: { team: null, rolegroup: null, role: null, user: null },
    policy: {},
    policies: [],
    metadata: {},
  }
}
