import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { resolve } from 'node:path'
import { inspect } from 'node:util'

const HIDDEN = '***'

/** A secret that was looked up once. Only `reveal` gives the value; printing it in any way gives `***`. */
export class Secret {
  /** Where it stands: `env:NAME`, `file:path` or `none`. Safe to show. */
  readonly reference: string
  readonly #value: string | null

  constructor(reference: string, value: string | null) {
    this.reference = reference
    this.#value = value
    Object.defineProperty(this, inspect.custom, { value: () => HIDDEN })
  }

  /** Null: missing, or `none`. */
  reveal(): string | null {
    return this.#value
  }

  /** True when the reference names something that is not there. */
  get missing(): boolean {
    return this.#value === null && this.reference !== NO_SECRET
  }

  toString(): string {
    return HIDDEN
  }

  toJSON(): string {
    return HIDDEN
  }
}

/** The reference that says: no credential is needed. */
export const NO_SECRET = 'none'

export type SecretSources = {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Folder that `file:` references are relative to. */
  readonly folder: string
}

/** Null when the reference is well formed; else what is wrong with it. */
export function secretReferenceProblem(reference: string): string | null {
  if (reference === NO_SECRET) return null
  if (/^env:[A-Za-z_][A-Za-z0-9_]*$/.test(reference)) return null
  if (/^file:[^\0]+$/.test(reference)) return null
  if (/^(vault|keychain|exec):/.test(reference)) return 'not available in this version'
  return 'is not a secret reference: write env:NAME, file:path or none. A secret itself never stands in the file'
}

/** Looks the secret up. What is not there is a missing secret, not an error: only its user knows whether it is needed. */
export function resolveSecret(reference: string, sources: SecretSources): Secret {
  if (reference.startsWith('env:')) {
    return new Secret(reference, present(sources.env[reference.slice('env:'.length)]))
  }
  if (reference.startsWith('file:')) {
    return new Secret(reference, readSecretFile(secretPath(reference, sources.folder)))
  }
  return new Secret(reference, null)
}

/** Absolute path of a `file:` reference. */
function secretPath(reference: string, folder: string): string {
  return resolve(folder, expandHome(reference.slice('file:'.length)))
}

export function expandHome(path: string): string {
  return path === '~' || path.startsWith('~/') ? homedir() + path.slice(1) : path
}

function readSecretFile(path: string): string | null {
  try {
    return present(readFileSync(path, 'utf8'))
  } catch {
    return null
  }
}

/** Editors and `echo` leave a line break at the end. An empty secret is no secret. */
function present(value: string | undefined): string | null {
  const trimmed = value?.trim() ?? ''
  return trimmed === '' ? null : trimmed
}
