import type { PolicyRecord } from '../contracts/key.ts'
import { isRecord } from '../lib/is-record.ts'
import type { JsonObject, PolicyView } from './admin-api.ts'
import { jsonRoute, NO_BODY, NO_QUERY, type AdminRoute } from './admin-route.ts'
import { deletedSchema, pageOfSchema, policySchema } from './answer-schemas.ts'
import { allPolicies, findPolicy } from './find-policy.ts'
import { pageOf } from './list-page.ts'
import { deletePolicy, patchPolicy, putPolicy } from './policy-changes.ts'
import { pageQuery, policyObject } from './request-schemas.ts'
import { replayPolicy } from './replay-policy.ts'
import { simulatePolicy } from './simulate-policy.ts'
import {
  policyReplaySchema,
  policySimulationBody,
  policySimulationSchema,
  replayBody,
} from './what-if-schemas.ts'
import { timeText } from './written-times.ts'

export const POLICY_ROUTES: readonly AdminRoute[] = [
  jsonRoute({
    method: 'GET',
    path: '/policies',
    summary: 'Named policies, by name',
    query: pageQuery,
    body: NO_BODY,
    answer: pageOfSchema(policySchema),
    handle: async ({ control, query }) =>
      pageOf(await allPolicies(control), ({ name }) => name, query),
  }),
  jsonRoute({
    method: 'POST',
    path: '/policies/simulate',
    summary: 'What a request would come to under a policy, and why; nothing is sent',
    query: NO_QUERY,
    body: policySimulationBody,
    answer: policySimulationSchema,
    handle: ({ control, body }) => simulatePolicy(control, body),
  }),
  jsonRoute({
    method: 'POST',
    path: '/policies/replay',
    summary: 'What recorded requests had come to under another policy or configuration',
    query: NO_QUERY,
    body: replayBody,
    answer: policyReplaySchema,
    handle: ({ control, body, signal }) => replayPolicy(control, body, signal),
  }),
  jsonRoute({
    method: 'GET',
    path: '/policies/{name}',
    summary: 'One policy',
    query: NO_QUERY,
    body: NO_BODY,
    answer: policySchema,
    handle: ({ control, param }) => findPolicy(control, param('name')),
  }),
  jsonRoute({
    method: 'PUT',
    path: '/policies/{name}',
    summary: 'Make or replace a policy',
    query: NO_QUERY,
    body: policyObject,
    answer: policySchema,
    handle: async ({ control, param, body }) =>
      view(await putPolicy(control, param('name'), unwrapped(body))),
  }),
  jsonRoute({
    method: 'PATCH',
    path: '/policies/{name}',
    summary: 'Change a policy by a merge patch (RFC 7396)',
    query: NO_QUERY,
    body: policyObject,
    answer: policySchema,
    handle: async ({ control, param, body }) =>
      view(await patchPolicy(control, param('name'), unwrapped(body))),
  }),
  jsonRoute({
    method: 'DELETE',
    path: '/policies/{name}',
    summary: 'Delete a policy that no key uses',
    query: NO_QUERY,
    body: NO_BODY,
    answer: deletedSchema,
    async handle({ control, param }) {
      const name = param('name')
      await deletePolicy(control, name)
      return { name, deleted: true }
    },
  }),
]

/** No policy has a field `policy`, so `{policy: {…}}` can only be a policy in the wrapping that `GET` shows. */
function unwrapped(body: JsonObject): JsonObject {
  const { policy } = body
  return Object.keys(body).length === 1 && isRecord(policy) ? policy : body
}

function view({ name, policy, createdAtMs, updatedAtMs }: PolicyRecord): PolicyView {
  return {
    name,
    owner: 'api',
    policy,
    created_at: timeText(createdAtMs),
    updated_at: timeText(updatedAtMs),
  }
}
