/** Who a key acts for in the hierarchy. `null`: the key names nobody on that level. */
export type Subject = {
  readonly team: string | null
  readonly rolegroup: string | null
  readonly role: string | null
  readonly user: string | null
}

/** A virtual key as it is stored. Times are ms since 1970. The secret itself is never stored. */
export type KeyRecord = {
  /** `key_` and random characters; reveals nothing of the secret. */
  readonly id: string
  readonly name: string
  readonly last4: string
  /** HMAC-SHA-256(hash key, secret), lower-case hex. */
  readonly hash: string
  /** Hash of the secret before the last rotation; valid until `previousHashUntilMs`. */
  readonly previousHash: string | null
  readonly previousHashUntilMs: number | null
  readonly createdAtMs: number
  readonly createdBy: string
  readonly updatedAtMs: number
  readonly lastUsedAtMs: number | null
  readonly expiresAtMs: number | null
  readonly enabled: boolean
  readonly revokedAtMs: number | null
  readonly rotateEveryMs: number | null
  readonly rotatedAtMs: number | null
  readonly scopes: readonly string[]
  readonly subject: Subject
  /** Inline policy as written (validated); see config/policy-schema.ts. */
  readonly policy: Readonly<Record<string, unknown>>
  /** Names of stored policies, in merge order. */
  readonly policies: readonly string[]
  readonly metadata: Readonly<Record<string, string>>
}

/** A named policy as it is stored. */
export type PolicyRecord = {
  readonly name: string
  readonly policy: Readonly<Record<string, unknown>>
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

/** For other processes that hold the same keys. */
export type KeyChange =
  | { readonly kind: 'put-key'; readonly key: KeyRecord }
  | { readonly kind: 'remove-key'; readonly id: string }
  | { readonly kind: 'all-keys'; readonly keys: readonly KeyRecord[] }
