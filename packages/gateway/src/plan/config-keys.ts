import { createHash } from 'node:crypto'
import type { GatewayConfig, VirtualKeyConfig } from '../config/gateway-config.ts'
import { isRecord } from '../lib/is-record.ts'
import type { KeyRecord } from '../contracts/key.ts'
import { parseTimestampMs } from '../lib/duration.ts'

const CONFIG_OWNER = 'config'
const ID_DIGITS = 16

/** The keys that the file declares. They are the file's own: the API shows them but cannot change them. */
export function configKeyRecords(config: GatewayConfig): readonly KeyRecord[] {
  return config.virtual_keys.map(keyRecord)
}

/** The id comes from the name, so that counters and records stay with the key when its secret changes. */
function keyRecord(key: VirtualKeyConfig): KeyRecord {
  const digest = createHash('sha256').update(`virtual_keys:${key.name}`).digest('hex')
  const { team = null, rolegroup = null, role = null, user = null } = key.subject ?? {}
  return {
    id: `key_${digest.slice(0, ID_DIGITS)}`,
    name: key.name,
    last4: key.last4 ?? '',
    hash: key.hash,
    previousHash: null,
    previousHashUntilMs: null,
    createdAtMs: 0,
    createdBy: CONFIG_OWNER,
    updatedAtMs: 0,
    lastUsedAtMs: null,
    expiresAtMs: key.expires === undefined ? null : parseTimestampMs(key.expires),
    enabled: key.enabled ?? true,
    revokedAtMs: null,
    rotateEveryMs: null,
    rotatedAtMs: null,
    scopes: key.scopes ?? [],
    subject: { team, rolegroup, role, user },
    policy: isRecord(key.policy) ? key.policy : {},
    policies: key.policies ?? [],
    metadata: key.metadata ?? {},
  }
}
