import * as z from 'zod'
import { endpointList, entryName, metadataMap, printableText } from '../config/schema-parts.ts'
import { checkedText, strict } from '../config/validate.ts'
import type {
  CreateKeyBody,
  EventQuery,
  ExplainQuery,
  GrantLimitBody,
  JsonObject,
  KeyQuery,
  LimitExplainQuery,
  LimitQuery,
  ModelQuery,
  PageQuery,
  ResetHealthBody,
  ResetLimitBody,
  RotateKeyBody,
  SubjectBody,
  UpdateKeyBody,
  UsageFilter,
  UsageQuery,
} from './admin-api.ts'
import type { ChoicePolicyBody, RewardQuery } from './reward-api.ts'
import { NAMED_SCHEMAS } from './answer-schemas.ts'
import { MAX_PAGE_ITEMS } from './list-page.ts'

const MAX_NAME_CHARACTERS = 128
/** Control characters, line and paragraph separators, and halves of surrogate pairs: they break logs and terminals. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]/u

/** A name for people: anything that can be printed on one line. */
const shownName: z.ZodType<string> = checkedText((name) => {
  if (name.trim() === '') return 'must not be empty'
  if (name.length > MAX_NAME_CHARACTERS)
    return `must have at most ${MAX_NAME_CHARACTERS} characters`
  return UNPRINTABLE.test(name) ? 'must have no control characters' : null
}).describe('For people; need not be unique.')

const MAX_METADATA = 64
const keyMetadata: z.ZodType<Readonly<Record<string, string>>> = metadataMap.refine(
  (map) => Object.keys(map).length <= MAX_METADATA,
  { error: `must have at most ${MAX_METADATA} members` },
)

/** A policy in a body, also `{policy}` around one. Any object here; the use-case checks the policy as a whole, because a patch alone is none. */
export const policyObject: z.ZodType<JsonObject> = z.record(z.string(), z.unknown())
NAMED_SCHEMAS.add(policyObject, { id: 'PolicyFields' })

const subjectValue = shownName.nullable()
export const subjectBody: z.ZodType<SubjectBody> = strict({
  team: z.exactOptional(subjectValue),
  rolegroup: z.exactOptional(subjectValue),
  role: z.exactOptional(subjectValue),
  user: z.exactOptional(subjectValue),
})
const policyNames: z.ZodType<readonly string[]> = z.array(entryName).max(32)
const timeOrNever: z.ZodType<string | null> = z
  .string()
  .max(64)
  .nullable()
  .describe('24h, 7d, 1w, 1mo, 1y, RFC 3339, or never.')
const durationOrNone: z.ZodType<string | null> = z
  .string()
  .max(64)
  .nullable()
  .describe('A whole number and a unit: 90s, 24h, 30d; null: none.')

export const createKeyBody: z.ZodType<CreateKeyBody> = strict({
  name: shownName,
  policy: z.exactOptional(policyObject),
  policies: z.exactOptional(policyNames),
  subject: z.exactOptional(subjectBody),
  scopes: z.exactOptional(endpointList),
  expires: z.exactOptional(timeOrNever),
  rotate_every: z.exactOptional(durationOrNone),
  metadata: z.exactOptional(keyMetadata),
  enabled: z.exactOptional(z.boolean()),
})

export const updateKeyBody: z.ZodType<UpdateKeyBody> = strict({
  name: z.exactOptional(shownName),
  policy: z.exactOptional(policyObject.nullable()),
  replace: z.exactOptional(z.boolean()),
  policies: z.exactOptional(policyNames.nullable()),
  subject: z.exactOptional(subjectBody.nullable()),
  scopes: z.exactOptional(endpointList.nullable()),
  expires: z.exactOptional(timeOrNever),
  rotate_every: z.exactOptional(durationOrNone),
  metadata: z.exactOptional(z.record(z.string(), printableText.nullable()).nullable()),
  enabled: z.exactOptional(z.boolean()),
})

/** What a patched metadata map must still be. */
export const wholeMetadata: z.ZodType<{ readonly metadata: Readonly<Record<string, string>> }> =
  strict({ metadata: keyMetadata })

export const rotateKeyBody: z.ZodType<RotateKeyBody> = strict({
  grace: z.exactOptional(durationOrNone),
})

export const resetLimitBody: z.ZodType<ResetLimitBody> = strict({
  value: z.exactOptional(z.string().max(1024).nullable()),
})
export const grantLimitBody: z.ZodType<GrantLimitBody> = strict({
  value: z.string().max(1024),
  amount: z.number().gt(0),
})

const page = {
  limit: z.exactOptional(z.coerce.number<string>().int().min(1).max(MAX_PAGE_ITEMS)),
  cursor: z.exactOptional(z.string().min(1).max(2048)),
}
const filterText = z.string().min(1).max(1024)

export const pageQuery: z.ZodType<PageQuery> = strict(page)

export const keyQuery: z.ZodType<KeyQuery> = strict({
  ...page,
  name: z.exactOptional(filterText),
  state: z.exactOptional(z.enum(['active', 'disabled', 'expired', 'overdue', 'revoked'])),
  team: z.exactOptional(filterText),
  rolegroup: z.exactOptional(filterText),
  role: z.exactOptional(filterText),
  user: z.exactOptional(filterText),
  policy: z.exactOptional(filterText),
})

export const explainQuery: z.ZodType<ExplainQuery> = strict({ model: z.exactOptional(filterText) })

export const modelQuery: z.ZodType<ModelQuery> = strict({
  ...page,
  provider: z.exactOptional(filterText),
  declared: z.exactOptional(z.enum(['true', 'false']).transform((text) => text === 'true')),
})

export const limitQuery: z.ZodType<LimitQuery> = strict({
  ...page,
  id: z.exactOptional(filterText),
  scope: z.exactOptional(filterText),
  value: z.exactOptional(z.string().max(1024)),
})

const tokenCount = z.exactOptional(z.coerce.number<string>().int().min(0).max(1e9))
export const limitExplainQuery: z.ZodType<LimitExplainQuery> = strict({
  model: z.exactOptional(filterText),
  endpoint: z.exactOptional(filterText),
  ip: z.exactOptional(filterText),
  input_tokens: tokenCount,
  output_tokens: tokenCount,
})

const moment = z.exactOptional(
  z.string().min(1).max(64).describe('RFC 3339, or how long ago, such as 24h.'),
)
const usage = {
  key: z.exactOptional(filterText),
  model: z.exactOptional(filterText),
  provider: z.exactOptional(filterText),
  project: z.exactOptional(filterText),
  status: z.exactOptional(
    checkedText((status) =>
      /^[1-5](\d\d|xx)$/i.test(status)
        ? null
        : `"${status}" is neither a status such as 404 nor a class such as 4xx`,
    ),
  ),
  since: moment,
  until: moment,
  request_id: z.exactOptional(filterText),
}
export const usageFilter: z.ZodType<UsageFilter> = strict(usage)
export const usageQuery: z.ZodType<UsageQuery> = strict({ ...usage, ...page })

export const rewardQuery: z.ZodType<RewardQuery> = strict({
  ...usage,
  ...page,
  target: z.exactOptional(filterText),
})

const MAX_TARGETS = 1000
const targetId = z.string().min(1).max(512)
export const choicePolicyBody: z.ZodType<ChoicePolicyBody> = strict({
  ...usage,
  policy: strict({
    strategy: z.enum(['priority', 'weighted', 'score', 'latency', 'thompson']),
    targets: z.exactOptional(z.array(targetId).min(1).max(MAX_TARGETS)),
    weights: z.exactOptional(z.record(targetId, z.number().min(0).max(1_000_000))),
    mode: z.exactOptional(z.string().max(128)),
  }),
})
NAMED_SCHEMAS.add(choicePolicyBody, { id: 'ChoicePolicy' })

export const eventQuery: z.ZodType<EventQuery> = strict({
  type: z.exactOptional(filterText),
  last_event_id: z.exactOptional(z.string().regex(/^\d{1,15}$/)),
})

export const resetHealthBody: z.ZodType<ResetHealthBody> = strict({
  target: z.exactOptional(z.string().min(1).max(600).describe('Id of a target. Absent: all.')),
})
