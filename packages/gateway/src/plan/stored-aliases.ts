import type { AliasConfig } from '../config/gateway-config.ts'
import { aliasSchema } from '../config/routing-schema.ts'
import { validate } from '../config/validate.ts'
import type { Note } from '../contracts/store.ts'
import type { StoredAlias } from './compile-routing.ts'

/** The kind of note under which aliases are stored. */
export const ALIAS_NOTES = 'alias'

/** Aliases as they were stored. What cannot be read any more is left out. */
export function readStoredAliases(notes: readonly Note[]): readonly StoredAlias[] {
  return notes.flatMap(({ name, body }) => {
    const alias = readAlias(body)
    return alias === null ? [] : [{ name, alias }]
  })
}

function readAlias(body: string): AliasConfig | null {
  try {
    const result = validate(aliasSchema, JSON.parse(body))
    return result.ok ? result.value : null
  } catch {
    return null
  }
}
