import { validate } from '../config/validate.ts'
import type { EventType } from '../contracts/event.ts'
import type { KeyRecord, Subject } from '../contracts/key.ts'
import { isRecord } from '../lib/is-record.ts'
import { mergePatch } from '../lib/merge-patch.ts'
import { hashKeySecret, newKeySecret, newPublicId } from '../lib/virtual-key.ts'
import type { CreateKeyBody, RotateKeyBody, SubjectBody, UpdateKeyBody } from './admin-api.ts'
import { AdminError, badRequest } from './admin-error.ts'
import { checkKeyPolicy } from './check-key-policy.ts'
import { checkUpstreamAddresses } from './check-upstream-addresses.ts'
import type { Control } from './control.ts'
import { findChangeableKey } from './find-key.ts'
import { inTurn } from './in-turn.ts'
import { wholeMetadata } from './request-schemas.ts'
import { durationText, readDuration, readExpiry, timeText } from './written-times.ts'

/** A key and its secret, which nothing keeps: whoever gets it must show it now or never. */
export type KeyAndSecret = { readonly key: KeyRecord; readonly secret: string }

const NOBODY: Subject = { team: null, rolegroup: null, role: null, user: null }
const LAST_CHARACTERS = 4

/** Makes a key that is valid from the very next request on. Throws `AdminError`; then nothing was made. */
export function createKey(control: Control, body: CreateKeyBody): Promise<KeyAndSecret> {
  return inTurn(control.store, async () => {
    await checkUpstreamAddresses(control, body.policy)
    const nowMs = control.clock.wallMs()
    const secret = newKeySecret()
    const key: KeyRecord = {
      id: newPublicId('key_'),
      name: body.name,
      ...secretFields(control, secret),
      previousHash: null,
      previousHashUntilMs: null,
      createdAtMs: nowMs,
      createdBy: control.serving ? 'admin' : 'cli',
      updatedAtMs: nowMs,
      lastUsedAtMs: null,
      expiresAtMs: futureExpiry(body.expires ?? null, nowMs),
      enabled: body.enabled ?? true,
      revokedAtMs: null,
      rotateEveryMs: readDuration(body.rotate_every ?? null, 'rotate_every'),
      rotatedAtMs: null,
      scopes: body.scopes ?? [],
      subject: mergeSubject(NOBODY, body.subject ?? {}),
      policy: body.policy ?? {},
      policies: body.policies ?? [],
      metadata: body.metadata ?? {},
    }
    checkKeyPolicy(control, key, null)
    await control.store.keys.insert(key)
    control.keyRing.put(key)
    announce(control, 'key.created', key)
    return { key, secret }
  })
}

/** A merge patch over the fields that can be edited. Throws `AdminError`; then nothing was changed. */
export async function updateKey(
  control: Control,
  id: string,
  body: UpdateKeyBody,
): Promise<KeyRecord> {
  await checkUpstreamAddresses(control, body.policy)
  return await changeKey(control, id, (key, nowMs) => {
    const changed: KeyRecord = {
      ...key,
      name: body.name ?? key.name,
      policy: body.policy === undefined ? key.policy : patchPolicy(key.policy, body),
      policies: body.policies === undefined ? key.policies : (body.policies ?? []),
      subject: body.subject === null ? NOBODY : mergeSubject(key.subject, body.subject ?? {}),
      scopes: body.scopes === undefined ? key.scopes : (body.scopes ?? []),
      expiresAtMs: body.expires === undefined ? key.expiresAtMs : readExpiry(body.expires, nowMs),
      rotateEveryMs:
        body.rotate_every === undefined
          ? key.rotateEveryMs
          : readDuration(body.rotate_every, 'rotate_every'),
      metadata: body.metadata === undefined ? key.metadata : patchMetadata(key.metadata, body),
      enabled: body.enabled ?? key.enabled,
    }
    if (inheritsAnew(body)) checkKeyPolicy(control, changed, key)
    const { replace: _replace, ...fields } = body
    return { changed, event: 'key.updated', facts: { changed: Object.keys(fields) } }
  })
}

export function setKeyEnabled(control: Control, id: string, enabled: boolean): Promise<KeyRecord> {
  return updateKey(control, id, { enabled })
}

/** Gives the key a new secret. The old one stays valid for `grace`; one from an earlier rotation ends now. */
export async function rotateKey(
  control: Control,
  id: string,
  body: RotateKeyBody,
): Promise<KeyAndSecret> {
  const secret = newKeySecret()
  const key = await changeKey(control, id, (before, nowMs) => {
    const graceMs = readDuration(body.grace ?? null, 'grace')
    const changed: KeyRecord = {
      ...before,
      ...secretFields(control, secret),
      previousHash: graceMs === null ? null : before.hash,
      previousHashUntilMs: graceMs === null ? null : nowMs + graceMs,
      rotatedAtMs: nowMs,
    }
    return {
      changed,
      event: 'key.rotated',
      facts: {
        grace: durationText(graceMs),
        previous_valid_until: timeText(changed.previousHashUntilMs),
      },
    }
  })
  return { key, secret }
}

/** Ends a key for good; it stays listed. Revoking it again changes nothing. */
export function revokeKey(control: Control, id: string): Promise<KeyRecord> {
  return inTurn(control.store, async () => {
    const key = await findChangeableKey(control, id)
    if (key.revokedAtMs !== null) return key
    const nowMs = control.clock.wallMs()
    return await writeKey(
      control,
      { ...key, revokedAtMs: nowMs, updatedAtMs: nowMs },
      'key.revoked',
    )
  })
}

type Change = {
  readonly changed: KeyRecord
  readonly event: EventType
  readonly facts: Readonly<Record<string, unknown>>
}

function changeKey(
  control: Control,
  id: string,
  change: (key: KeyRecord, nowMs: number) => Change,
): Promise<KeyRecord> {
  return inTurn(control.store, async () => {
    const key = await findChangeableKey(control, id)
    if (key.revokedAtMs !== null) {
      throw new AdminError('key_revoked', `The key "${key.name}" is revoked; make a new one.`)
    }
    const nowMs = control.clock.wallMs()
    const { changed, event, facts } = change(key, nowMs)
    return await writeKey(control, { ...changed, updatedAtMs: nowMs }, event, facts)
  })
}

/** Store first, then memory: a change that could not be written does not hold. */
async function writeKey(
  control: Control,
  key: KeyRecord,
  event: EventType,
  facts: Readonly<Record<string, unknown>> = {},
): Promise<KeyRecord> {
  if (!(await control.store.keys.update(key))) {
    throw new AdminError('not_found', 'No key has this id.')
  }
  control.keyRing.put(key)
  announce(control, event, key, facts)
  return key
}

function announce(
  control: Control,
  event: EventType,
  key: KeyRecord,
  facts: Readonly<Record<string, unknown>> = {},
): void {
  const { team, user } = key.subject
  control.events.emit(event, { key_id: key.id, key_name: key.name, team, user, ...facts })
}

function secretFields(control: Control, secret: string): Pick<KeyRecord, 'hash' | 'last4'> {
  return { hash: hashKeySecret(control.hashKey, secret), last4: secret.slice(-LAST_CHARACTERS) }
}

function futureExpiry(text: string | null, nowMs: number): number | null {
  const expiresAtMs = readExpiry(text, nowMs)
  if (expiresAtMs === null || expiresAtMs > nowMs) return expiresAtMs
  throw new AdminError('invalid_request', 'expires: lies in the past.', { path: 'expires' })
}

/** Absent keeps, null removes. */
function mergeSubject(subject: Subject, patch: SubjectBody): Subject {
  const { team, rolegroup, role, user } = { ...subject, ...patch }
  return { team, rolegroup, role, user }
}

function patchPolicy(policy: KeyRecord['policy'], body: UpdateKeyBody): KeyRecord['policy'] {
  if (body.replace === true) return body.policy ?? {}
  const patched = mergePatch(policy, body.policy)
  return isRecord(patched) ? patched : {}
}

function patchMetadata(
  metadata: KeyRecord['metadata'],
  body: UpdateKeyBody,
): KeyRecord['metadata'] {
  const result = validate(wholeMetadata, { metadata: mergePatch(metadata, body.metadata) ?? {} })
  if (result.ok) return result.value.metadata
  throw badRequest(result.findings)
}

/** Only then can the change make something looser. */
function inheritsAnew(body: UpdateKeyBody): boolean {
  return body.policy !== undefined || body.policies !== undefined || body.subject !== undefined
}
