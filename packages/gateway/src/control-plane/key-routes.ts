import type { KeyRecord } from '../contracts/key.ts'
import { explainPolicy } from '../plan/explain-policy.ts'
import type { KeyQuery, KeyView, KeyWithSecret } from './admin-api.ts'
import { jsonRoute, NO_BODY, NO_QUERY, type AdminRoute } from './admin-route.ts'
import {
  keyExplanationSchema,
  keySchema,
  keyWithSecretSchema,
  pageOfSchema,
} from './answer-schemas.ts'
import type { Control } from './control.ts'
import { allKeys, findKey, isFileKey } from './find-key.ts'
import {
  createKey,
  revokeKey,
  rotateKey,
  setKeyEnabled,
  updateKey,
  type KeyAndSecret,
} from './key-changes.ts'
import { keyReference, keyState, keyView } from './key-view.ts'
import { pageOf, sortedBy } from './list-page.ts'
import {
  createKeyBody,
  explainQuery,
  keyQuery,
  rotateKeyBody,
  updateKeyBody,
} from './request-schemas.ts'

const CHANGES: readonly AdminRoute[] = [
  jsonRoute({
    method: 'POST',
    path: '/keys',
    summary: 'Make a key; the answer holds its secret, once',
    status: 201,
    query: NO_QUERY,
    body: createKeyBody,
    answer: keyWithSecretSchema,
    handle: async ({ control, body }) => withSecret(control, await createKey(control, body)),
  }),
  jsonRoute({
    method: 'PATCH',
    path: '/keys/{id}',
    summary: 'Change a key by a merge patch (RFC 7396)',
    query: NO_QUERY,
    body: updateKeyBody,
    answer: keySchema,
    handle: async ({ control, param, body }) =>
      view(control, await updateKey(control, param('id'), body)),
  }),
  jsonRoute({
    method: 'DELETE',
    path: '/keys/{id}',
    summary: 'Revoke a key for good',
    query: NO_QUERY,
    body: NO_BODY,
    answer: keySchema,
    handle: async ({ control, param }) => view(control, await revokeKey(control, param('id'))),
  }),
  jsonRoute({
    method: 'POST',
    path: '/keys/{id}/rotate',
    summary: 'Give a key a new secret; the answer holds it, once',
    query: NO_QUERY,
    body: rotateKeyBody,
    answer: keyWithSecretSchema,
    handle: async ({ control, param, body }) =>
      withSecret(control, await rotateKey(control, param('id'), body)),
  }),
  enableRoute('enable', true),
  enableRoute('disable', false),
]

function enableRoute(verb: string, enabled: boolean): AdminRoute {
  return jsonRoute({
    method: 'POST',
    path: `/keys/{id}/${verb}`,
    summary: enabled ? 'Let a disabled key work again' : 'Refuse a key until it is enabled',
    query: NO_QUERY,
    body: NO_BODY,
    answer: keySchema,
    handle: async ({ control, param }) =>
      view(control, await setKeyEnabled(control, param('id'), enabled)),
  })
}

export const KEY_ROUTES: readonly AdminRoute[] = [
  jsonRoute({
    method: 'GET',
    path: '/keys',
    summary: 'Keys, in the order they were made',
    query: keyQuery,
    body: NO_BODY,
    answer: pageOfSchema(keySchema),
    async handle({ control, query }) {
      const found = (await allKeys(control)).filter((key) => matches(control, key, query))
      const page = pageOf(sortedBy(found, orderOf), orderOf, query)
      return { ...page, items: page.items.map((key) => view(control, key)) }
    },
  }),
  jsonRoute({
    method: 'GET',
    path: '/keys/{id}',
    summary: 'One key',
    query: NO_QUERY,
    body: NO_BODY,
    answer: keySchema,
    handle: async ({ control, param }) => view(control, await findKey(control, param('id'))),
  }),
  jsonRoute({
    method: 'GET',
    path: '/keys/{id}/explain',
    summary: 'The policy that holds for a key, and where each field comes from',
    query: explainQuery,
    body: NO_BODY,
    answer: keyExplanationSchema,
    async handle({ control, param, query }) {
      const key = await findKey(control, param('id'))
      const { policies } = control.plan()
      return { key: keyReference(key), ...explainPolicy(key, policies, query.model ?? null) }
    },
  }),
  ...CHANGES,
]

function view(control: Control, key: KeyRecord): KeyView {
  const owner = isFileKey(control, key.id) ? 'file' : 'api'
  return keyView(control, key, owner)
}

function withSecret(control: Control, { key, secret }: KeyAndSecret): KeyWithSecret {
  const { id, ...rest } = view(control, key)
  return { id, key: secret, ...rest }
}

const TIME_DIGITS = 16

function orderOf(key: KeyRecord): string {
  return `${String(key.createdAtMs).padStart(TIME_DIGITS, '0')}:${key.id}`
}

function matches(control: Control, key: KeyRecord, query: KeyQuery): boolean {
  const { subject } = key
  return (
    (query.name === undefined || key.name.includes(query.name)) &&
    (query.state === undefined || keyState(control, key) === query.state) &&
    (query.policy === undefined || key.policies.includes(query.policy)) &&
    fits(subject.team, query.team) &&
    fits(subject.rolegroup, query.rolegroup) &&
    fits(subject.role, query.role) &&
    fits(subject.user, query.user)
  )
}

function fits(value: string | null, wanted: string | undefined): boolean {
  return wanted === undefined || value === wanted
}
