import type { LimitConfig, PolicyConfig } from './policy-config.ts'

/** Scopes for which TokenGuard keeps a bucket, the most general first. */
export const BUCKET_SCOPES = ['global', 'team', 'rolegroup', 'role', 'user'] as const
export type BucketScope = (typeof BUCKET_SCOPES)[number]

/** The stored policy in which buckets that were set at run time are kept. */
export const BUCKETS_POLICY = 'tokenguard.buckets'
/** TokenGuard's own defaults. */
export const DEFAULT_BUCKET = { capacity: 1000, refillPerSec: 5 } as const

export function bucketId(scope: BucketScope): string {
  return `tokenguard.${scope}`
}

type Environment = Readonly<Record<string, string | undefined>>

export type ForeignLimits = {
  readonly limits: readonly LimitConfig[]
  /** Variables that set them. */
  readonly variables: readonly string[]
  readonly problems: readonly { readonly variable: string; readonly message: string }[]
}

/** TokenHub's burst when only its rate is given. */
const IP_BURST = 2
const TRUE_TEXTS: ReadonlySet<string> = new Set(['1', 'true', 'yes', 'on'])

/**
 * Limits that TokenGuard and TokenHub take from the environment: `CAP_USER`, `RATE_USER` and the like, and
 * `TOKENHUB_RATE_LIMIT_RPS`. A bucket exists for the scopes whose `CAP_` or `RATE_` is set.
 */
export function foreignLimits(env: Environment): ForeignLimits {
  const problems: { variable: string; message: string }[] = []
  const variables: string[] = []
  const number = (variable: string): number | null => {
    const text = env[variable] ?? ''
    if (text === '') return null
    variables.push(variable)
    if (/^\d{1,15}(\.\d+)?$/.test(text)) return Number(text)
    problems.push({ variable, message: `"${text}" is no number of 0 or more` })
    return null
  }
  const limits: LimitConfig[] = []
  for (const scope of BUCKET_SCOPES) {
    const name = scope.toUpperCase()
    if (!isSet(env, `CAP_${name}`) && !isSet(env, `RATE_${name}`)) continue
    if (scope === 'global' && !isTrue(env['ENFORCE_GLOBAL_SCOPE'])) continue
    const capacity = number(`CAP_${name}`) ?? number('BUCKET_CAPACITY') ?? DEFAULT_BUCKET.capacity
    const refill =
      number(`RATE_${name}`) ?? number('BUCKET_REFILL_PER_SEC') ?? DEFAULT_BUCKET.refillPerSec
    limits.push(bucketLimit(scope, { capacity, refillPerSec: refill }))
  }
  const rps = number('TOKENHUB_RATE_LIMIT_RPS')
  if (rps !== null) {
    const burst = number('TOKENHUB_RATE_LIMIT_BURST') ?? rps * IP_BURST
    limits.push({
      id: 'tokenhub.ip',
      scope: 'ip',
      unit: 'requests',
      algorithm: 'bucket',
      capacity: Math.floor(burst),
      refill_per_sec: rps,
    })
  }
  return { limits, variables: [...new Set(variables)], problems }
}

export type Bucket = { readonly capacity: number; readonly refillPerSec: number }

/** A bucket of whole tokens, for everybody of the scope. */
export function bucketLimit(scope: BucketScope, { capacity, refillPerSec }: Bucket): LimitConfig {
  return {
    id: bucketId(scope),
    scope,
    unit: 'tokens',
    algorithm: 'bucket',
    capacity: Math.floor(capacity),
    refill_per_sec: refillPerSec,
  }
}

/** A limit of the file with the same id wins. */
export function withForeignLimits(
  policy: PolicyConfig,
  env: Environment,
): Pick<PolicyConfig, 'limits'> {
  const written = policy.limits ?? []
  const ids = new Set(written.map(({ id }) => id))
  const added = foreignLimits(env).limits.filter(({ id }) => !ids.has(id))
  return added.length === 0 ? {} : { limits: [...written, ...added] }
}

function isSet(env: Environment, variable: string): boolean {
  return (env[variable] ?? '') !== ''
}

function isTrue(text: string | undefined): boolean {
  return TRUE_TEXTS.has((text ?? '').toLowerCase())
}
