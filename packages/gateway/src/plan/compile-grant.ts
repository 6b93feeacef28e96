import type { AuthStyle } from '../contracts/provider.ts'
import { parseTokenGrant, type TokenGrant } from '../lib/token-grant.ts'
import { PlanError } from './plan-error.ts'

/** Null when the provider takes no access tokens, or the credential is one already. Throws `PlanError`. */
export function compileGrant(
  auth: AuthStyle,
  credential: string | null,
  at: string,
): TokenGrant | null {
  if (auth.kind !== 'google-oauth' || credential === null) return null
  try {
    return parseTokenGrant(credential, auth.scope)
  } catch (thrown) {
    throw new PlanError(
      at,
      thrown instanceof Error ? thrown.message : 'the credential is malformed',
    )
  }
}
