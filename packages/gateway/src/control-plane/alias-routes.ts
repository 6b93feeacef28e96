import { jsonRoute, NO_BODY, NO_QUERY, type AdminRoute } from './admin-route.ts'
import { allAliases, deleteAlias, findAlias, putAlias } from './alias-changes.ts'
import { deletedSchema, pageOfSchema } from './answer-schemas.ts'
import { pageOf } from './list-page.ts'
import { pageQuery } from './request-schemas.ts'
import { aliasBody, aliasViewSchema } from './routing-schemas.ts'

export const ALIAS_ROUTES: readonly AdminRoute[] = [
  jsonRoute({
    method: 'GET',
    path: '/aliases',
    summary: 'Names for weighted variants, by name',
    query: pageQuery,
    body: NO_BODY,
    answer: pageOfSchema(aliasViewSchema),
    handle: async ({ control, query }) =>
      pageOf(await allAliases(control), ({ name }) => name, query),
  }),
  jsonRoute({
    method: 'GET',
    path: '/aliases/{name}',
    summary: 'One alias',
    query: NO_QUERY,
    body: NO_BODY,
    answer: aliasViewSchema,
    handle: ({ control, param }) => findAlias(control, param('name')),
  }),
  jsonRoute({
    method: 'PUT',
    path: '/aliases/{name}',
    summary: 'Make or replace an alias',
    query: NO_QUERY,
    body: aliasBody,
    answer: aliasViewSchema,
    handle: ({ control, param, body }) => putAlias(control, param('name'), body),
  }),
  jsonRoute({
    method: 'DELETE',
    path: '/aliases/{name}',
    summary: 'Delete an alias',
    query: NO_QUERY,
    body: NO_BODY,
    answer: deletedSchema,
    async handle({ control, param }) {
      const name = param('name')
      await deleteAlias(control, name)
      return { name, deleted: true }
    },
  }),
]
