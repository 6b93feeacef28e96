import * as z from 'zod'
import { policyJsonSchema } from '../config/policy-schema.ts'
import { isRecord } from '../lib/is-record.ts'
import type { JsonObject } from './admin-api.ts'
import type { AdminRoute } from './admin-route.ts'
import { errorSchema, NAMED_SCHEMAS } from './answer-schemas.ts'

const SCHEMAS = '#/components/schemas/'

/**
 * The OpenAPI 3.1 document of the routes.
 *
 * Made with zod's own JSON Schema, which 3.1 takes as it is: the generator of @hono/zod-openapi calls members required
 * that may be left out (`exactOptional`).
 */
export function openApiDocument(
  routes: readonly AdminRoute[],
  facts: { readonly version: string; readonly prefix: string },
): JsonObject {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) {
    const path = facts.prefix + route.path
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Tollgate admin API', version: facts.version },
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: componentSchemas(),
    },
  }
}

function operation(route: AdminRoute): JsonObject {
  const parameters = [...pathParameters(route.path), ...queryParameters(route.query)]
  const content =
    route.answer === null
      ? { [route.answerType]: {} }
      : { [route.answerType]: { schema: schemaOf(route.answer) } }
  return {
    operationId: operationId(route),
    summary: route.summary,
    tags: [route.path.split('/')[1] ?? ''],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.takesBody
      ? { requestBody: { content: { 'application/json': { schema: schemaOf(route.body) } } } }
      : {}),
    responses: {
      [String(route.status ?? 200)]: { description: 'Done.', content },
      default: {
        description: 'Refused, and why.',
        content: { 'application/json': { schema: schemaOf(errorSchema) } },
      },
    },
  }
}

/** `post_keys_id_rotate`. */
function operationId({ method, path }: AdminRoute): string {
  const words = path.split(/[^a-z0-9]+/i).filter((word) => word !== '')
  return [method.toLowerCase(), ...words].join('_')
}

function pathParameters(path: string): readonly JsonObject[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }))
}

function queryParameters(query: z.ZodType): readonly JsonObject[] {
  const { properties } = schemaOf(query)
  if (!isRecord(properties)) return []
  return Object.entries(properties).map(([name, schema]) => ({ name, in: 'query', schema }))
}

function schemaOf(schema: z.ZodType): JsonObject {
  const name = NAMED_SCHEMAS.get(schema)?.id
  if (name !== undefined) return { $ref: SCHEMAS + name }
  return embedded(
    z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', metadata: NAMED_SCHEMAS }),
  )
}

function componentSchemas(): JsonObject {
  const { schemas } = z.toJSONSchema(NAMED_SCHEMAS, {
    io: 'input',
    unrepresentable: 'any',
    uri: (id) => SCHEMAS + id,
  })
  const named = Object.entries(schemas).map(([name, schema]) => [name, embedded(schema)])
  return { ...Object.fromEntries(named), PolicyFields: embedded(policyJsonSchema()) }
}

/** As a part of a document: no identity of its own, and references into the document's components. */
function embedded(schema: JsonObject): JsonObject {
  const { $schema: _schema, $id: _id, $defs: _defs, ...rest } = schema
  const moved: unknown = JSON.parse(
    JSON.stringify(rest).replaceAll('"$ref":"#/$defs/', `"$ref":"${SCHEMAS}`),
  )
  return isRecord(moved) ? moved : {}
}
