import type { AuthStyle, ProviderFacts } from '../contracts/provider.ts'
import { AwsSigner, parseAwsCredentials, type SignedParts } from '../lib/aws-signature.ts'
import { PlanError } from './plan-error.ts'

/** Names and values in turn of the fields that a request gets besides. Called with the bytes that are sent. */
export type SignRequest = (parts: SignedParts, nowMs: number) => string[]

/** `bedrock-runtime.eu-west-1.amazonaws.com`: what looks like a region in a host. */
const REGION_IN_HOST = /(?:^|\.)([a-z]{2,3}(?:-[a-z]+)+-\d)(?:\.|$)/

/** Null when neither the operator nor the host says it. */
export function regionOf(param: string | undefined, host: string): string | null {
  return param ?? REGION_IN_HOST.exec(host)?.[1] ?? null
}

/**
 * Null when requests are not signed. A credential that is no pair of an id and a secret signs nothing: it is an API key.
 *
 * Throws `PlanError`.
 */
export function compileSigning(
  auth: AuthStyle,
  credential: string | null,
  place: { readonly region: string | null; readonly at: string },
): SignRequest | null {
  const credentials =
    auth.kind === 'sigv4' && credential !== null ? parseAwsCredentials(credential) : null
  if (auth.kind !== 'sigv4' || credentials === null) return null
  const { region, at } = place
  if (region === null) {
    throw new PlanError(`${at}.params.region`, 'is required: requests are signed for a region')
  }
  const signer = new AwsSigner(credentials, { region, service: auth.service })
  return (parts, nowMs) => signer.sign(parts, nowMs)
}

/** The parts of a credential from their variables, joined by ":"; null when one that is needed is not there. */
export function joinedCredential(
  { credentialParts }: ProviderFacts,
  env: Readonly<Record<string, string | undefined>>,
): { readonly credential: string; readonly reference: string } | null {
  if (credentialParts === undefined) return null
  const { needed, optional } = credentialParts
  const values: string[] = []
  for (const name of needed) {
    const value = env[name]?.trim() ?? ''
    if (value === '') return null
    values.push(value)
  }
  for (const name of optional) {
    const value = env[name]?.trim() ?? ''
    if (value === '') break
    values.push(value)
  }
  return { credential: values.join(':'), reference: `env:${needed[0] ?? ''}` }
}
