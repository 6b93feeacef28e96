import type { GatewayConfig } from '../config/gateway-config.ts'
import type { KeyRecord } from '../contracts/key.ts'
import { configKeyRecords } from '../plan/config-keys.ts'
import { AdminError } from './admin-error.ts'
import type { Control } from './control.ts'

/** Matches that an error lists. */
const MOST_MATCHES = 10

/** Every key: the store's and the file's. */
export async function allKeys(control: Control): Promise<readonly KeyRecord[]> {
  return [...(await control.store.keys.list()), ...fileKeys(control)]
}

/**
 * The one key whose id is `idOrPrefix`, or whose id or hash alone starts with it.
 *
 * Throws `not_found`, or `ambiguous_id` with the keys that match.
 */
export async function findKey(control: Control, idOrPrefix: string): Promise<KeyRecord> {
  const ofFile = fileKeys(control)
  const exact =
    ofFile.find(({ id }) => id === idOrPrefix) ?? (await control.store.keys.get(idOrPrefix))
  if (exact !== null) return exact
  const matches = idOrPrefix === '' ? [] : await matching(control, ofFile, idOrPrefix)
  const [only, ...others] = matches
  if (only === undefined) throw new AdminError('not_found', 'No key has this id.')
  if (others.length === 0) return only
  const listed = matches.slice(0, MOST_MATCHES).map(({ id, name }) => ({ id, name }))
  const names = listed.map(({ id, name }) => `${id} (${name})`).join(', ')
  const more = matches.length > MOST_MATCHES ? ' and more' : ''
  throw new AdminError('ambiguous_id', `Several keys start with this: ${names}${more}.`, {
    matches: listed,
  })
}

/** As `findKey`, for a change: a key of the file is refused with `file_owned`. */
export async function findChangeableKey(control: Control, idOrPrefix: string): Promise<KeyRecord> {
  const key = await findKey(control, idOrPrefix)
  if (!isFileKey(control, key.id)) return key
  throw new AdminError(
    'file_owned',
    `The key "${key.name}" stands under virtual_keys in the configuration file; change it there.`,
  )
}

export function isFileKey(control: Control, id: string): boolean {
  return fileKeys(control).some((key) => key.id === id)
}

/** Their ids are digests, so they are made once per configuration. */
const KEYS_OF_FILES = new WeakMap<GatewayConfig, readonly KeyRecord[]>()

function fileKeys(control: Control): readonly KeyRecord[] {
  const { config } = control.config()
  const known = KEYS_OF_FILES.get(config)
  if (known !== undefined) return known
  const keys = configKeyRecords(config)
  KEYS_OF_FILES.set(config, keys)
  return keys
}

async function matching(
  control: Control,
  ofFile: readonly KeyRecord[],
  prefix: string,
): Promise<readonly KeyRecord[]> {
  const stored = await control.store.keys.findByPrefix(prefix, MOST_MATCHES + 1)
  const declared = ofFile.filter(({ id, hash }) => id.startsWith(prefix) || hash.startsWith(prefix))
  return [...stored, ...declared]
}
