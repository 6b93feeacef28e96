import type { Context, Hono } from 'hono'
import * as z from 'zod'
import {
  type Bucket,
  BUCKET_SCOPES,
  type BucketScope,
  bucketId,
  bucketLimit,
  BUCKETS_POLICY,
  DEFAULT_BUCKET,
} from '../config/foreign-limits.ts'
import { limitOfValue, refillOf } from '../config/limit-shorthands.ts'
import { parsePolicy } from '../config/policy-schema.ts'
import type { LimitConfig } from '../config/policy-config.ts'
import { requireToken } from './admin-auth.ts'
import type { Control } from './control.ts'
import { inTurn } from './in-turn.ts'
import { readJsonBody } from './read-json-body.ts'

/** TokenGuard's paths, which stand beside the admin API and need its token. */
const BUCKET_PATHS = [
  '/config/budget',
  '/config/refill-rate',
  '/buckets/global',
  '/buckets/:scope/:id',
] as const

const MAX_ID_CHARS = 256
const amount = z.number().max(1e12).optional()
const budgetBody = z.object({
  scope: z.string(),
  id: z.string().max(MAX_ID_CHARS).nullish(),
  capacity: amount,
  refillPerSec: amount,
})
const refillBody = z.object({
  userId: z.string().min(1).max(MAX_ID_CHARS),
  refillPerSec: z.number().max(1e12),
})

type Place = { readonly scope: BucketScope; readonly id: string }
type BucketView = Bucket & { readonly tokens: number }

/** As TokenGuard answers: a refusal is `{detail}`. */
class Refused extends Error {}

/** Mounts TokenGuard's endpoints: buckets of tokens per scope and id, set and read at run time. */
export function mountBucketRoutes(app: Hono, control: Control): void {
  for (const path of BUCKET_PATHS) {
    app.use(path, async ({ req }, next) => {
      requireToken(req.header('authorization') ?? null, control.adminToken)
      await next()
    })
  }
  app.post('/config/budget', (context) => answer(context, () => setBudget(control, context)))
  app.post('/config/refill-rate', (context) => answer(context, () => setRefill(control, context)))
  app.get('/buckets/global', (context) =>
    answer(context, () => showBucket(control, { scope: 'global', id: '' })),
  )
  app.get('/buckets/:scope/:id', (context) =>
    answer(context, () => {
      const scope = scopeOf(context.req.param('scope'))
      return showBucket(control, { scope, id: context.req.param('id') })
    }),
  )
}

async function answer(context: Context, act: () => object | Promise<object>): Promise<Response> {
  try {
    return context.json(await act())
  } catch (thrown) {
    if (thrown instanceof Refused) return context.json({ detail: thrown.message }, 400)
    throw thrown
  }
}

async function setBudget(control: Control, { req }: Context): Promise<object> {
  const body = parsed(budgetBody, await readJsonBody(req.raw))
  const scope = scopeOf(body.scope)
  const id = scope === 'global' ? '' : (body.id ?? '')
  if (scope !== 'global' && id === '') throw new Refused('id required for non-global scope')
  const place = { scope, id }
  const bucket = await setBucket(control, place, (before) => ({
    capacity: clamped(body.capacity ?? before.capacity),
    refillPerSec: clamped(body.refillPerSec ?? before.refillPerSec),
  }))
  return { ok: true, scope: keyOf(place), bucket }
}

async function setRefill(control: Control, { req }: Context): Promise<object> {
  const { userId, refillPerSec } = parsed(refillBody, await readJsonBody(req.raw))
  if (refillPerSec < 0) throw new Refused('refillPerSec must be 0 or more')
  const place: Place = { scope: 'user', id: userId }
  const bucket = await setBucket(control, place, (before) => ({ ...before, refillPerSec }))
  return { ok: true, userId, refillPerSec, bucket }
}

async function showBucket(control: Control, place: Place): Promise<object> {
  const bucket = bucketOf(currentLimit(control, place.scope), place) ?? DEFAULT_BUCKET
  return { scope: keyOf(place), bucket: await view(control, place, bucket) }
}

export async function setGlobalBucket(
  control: Control,
  { capacity, refillPerSec }: Bucket,
): Promise<void> {
  await setBucket(control, { scope: 'global', id: '' }, () => ({ capacity, refillPerSec }))
}

/** Kept in a stored policy, so that it outlives the process; the next request meets it. */
function setBucket(
  control: Control,
  place: Place,
  change: (before: Bucket) => Bucket,
): Promise<BucketView> {
  return inTurn(control.store, async () => {
    const stored = await control.store.policies.get(BUCKETS_POLICY)
    const current = currentLimit(control, place.scope)
    const bucket = change(bucketOf(current, place) ?? DEFAULT_BUCKET)
    const limit = changedLimit(current, place, bucket)
    const before = stored === null ? null : parsePolicy(stored.policy)
    const others = before?.ok === true ? (before.policy.limits ?? []) : []
    const limits = [...others.filter(({ id }) => id !== limit.id), limit]
    const nowMs = control.clock.wallMs()
    await control.store.policies.put({
      name: BUCKETS_POLICY,
      policy: { limits },
      createdAtMs: stored?.createdAtMs ?? nowMs,
      updatedAtMs: nowMs,
    })
    try {
      await control.recompile()
    } catch (thrown) {
      if (stored === null) await control.store.policies.delete(BUCKETS_POLICY)
      else await control.store.policies.put(stored)
      throw thrown
    }
    control.events.emit('policy.updated', { name: BUCKETS_POLICY, created: stored === null })
    return await view(control, place, bucket)
  })
}

function changedLimit(
  current: LimitConfig | null,
  { scope, id }: Place,
  bucket: Bucket,
): LimitConfig {
  if (scope === 'global') return { ...current, ...bucketLimit(scope, bucket) }
  const own = { capacity: Math.floor(bucket.capacity), refill_per_sec: bucket.refillPerSec }
  const { capacity: _capacity, refill_per_sec: _refill, ...listed } = bucketLimit(scope, bucket)
  const base = current ?? listed
  return { ...base, values: { ...base.values, [id]: own } }
}

/** Null: nobody set one. */
function currentLimit(control: Control, scope: BucketScope): LimitConfig | null {
  const { limits } = control.plan().policies.global
  return limits?.find(({ id }) => id === bucketId(scope)) ?? null
}

/** Null: the scope has no bucket for this id. */
function bucketOf(limit: LimitConfig | null, { id }: Place): Bucket | null {
  if (limit === null) return null
  const { values } = limit
  const own = values !== undefined && Object.hasOwn(values, id) ? (values[id] ?? {}) : {}
  const merged = limitOfValue(limit, own)
  if (merged.capacity === undefined) return null
  return { capacity: merged.capacity, refillPerSec: refillOf(merged) ?? 0 }
}

/** Without a counter the bucket is full. */
async function view(control: Control, { scope, id }: Place, bucket: Bucket): Promise<BucketView> {
  const counters = await control.gate.list()
  const counter = counters.find(
    (one) => one.id === bucketId(scope) && one.scope === scope && one.value === id,
  )
  const taken = counter === undefined ? 0 : counter.used + counter.reserved
  return { tokens: bucket.capacity - taken, ...bucket }
}

function keyOf({ scope, id }: Place): string {
  return scope === 'global' ? scope : `${scope}:${id}`
}

function scopeOf(text: string): BucketScope {
  const scope = BUCKET_SCOPES.find((known) => known === text)
  if (scope === undefined) throw new Refused('invalid scope')
  return scope
}

function clamped(value: number): number {
  return Math.max(0, value)
}

function parsed<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw new Refused(`${issue?.path.join('.') ?? 'body'}: ${issue?.message ?? 'is not valid'}`)
}
