import type { RoutingHints } from '../../contracts/routing.ts'
import { GatewayError } from '../../errors/gateway-error.ts'
import { applyEdits } from '../../lib/byte-edits.ts'
import {
  type AskedHints,
  HINT_KEYS,
  hintKey,
  NOTHING_ASKED,
  readHint,
  tightest,
} from '../directives/read-hint.ts'
import { mayHoldDirectives, stripDirectives } from '../directives/strip-directives.ts'
import { headField } from '../http/request-head.ts'
import { known, type RouteContext } from '../pipeline/request-context.ts'

const HEADER_PREFIX = 'x-tollgate-'
/** In a header of the answer. */
const MAX_TOLD = 10
const MAX_TOLD_CHARS = 32

type Draft = { -readonly [Name in keyof AskedHints]: AskedHints[Name] }

/**
 * What the client asks of the choice: in the envelope of the request, and where its policy says so in headers and in the
 * texts of users, out of which it is cut. Throws `invalid_request`.
 */
export function readHints(ctx: RouteContext): void {
  const given = ctx.opened?.hints ?? null
  if (!known(ctx.key, 'key').policy.directives) {
    ctx.hints = given
    return
  }
  const written = headerHints(ctx)
  const said = takeFromTexts(ctx)
  const envelope = given === null ? NOTHING_ASKED : { ...given, outputSchema: null }
  const { outputSchema, ...hints } = [written, said, envelope].reduce(tightest)
  if (outputSchema !== null) askForSchema(ctx, outputSchema)
  ctx.hints = isNothing(hints) ? null : hints
}

function isNothing(hints: RoutingHints): boolean {
  return Object.values(hints).every((value) => value === null)
}

/** A header is written by a program, so a value that cannot be followed is an error. */
function headerHints({ head, plan }: RouteContext): AskedHints {
  const asked: Draft = { ...NOTHING_ASKED }
  for (const key of HINT_KEYS) {
    const name = HEADER_PREFIX + key.replaceAll('_', '-')
    const value = headField(head, name)?.trim() ?? null
    if (value === null || value === '') continue
    const read = readHint(key, value, plan.routing.modes)
    if (read === null) throw invalid(name, 'has a value that is not accepted')
    Object.assign(asked, read)
  }
  return asked
}

/** Of each key the last that is said counts: a conversation holds what was said in its earlier turns. */
function takeFromTexts(ctx: RouteContext): AskedHints {
  const { findTexts } = ctx.endpoint
  if (findTexts === undefined || !mayHoldDirectives(ctx.body)) return NOTHING_ASKED
  const found = stripDirectives(ctx.body, findTexts(ctx.body, known(ctx.envelope, 'envelope')))
  if (found.edits.length === 0) return NOTHING_ASKED
  useBody(ctx, applyEdits(ctx.body, found.edits))
  const ignored = new Set(found.ignored)
  const asked: Draft = { ...NOTHING_ASKED }
  for (const { key, value } of found.entries) {
    const read = readHint(key, value, ctx.plan.routing.modes)
    if (read === null) ignored.add(hintKey(key).slice(0, MAX_TOLD_CHARS))
    else Object.assign(asked, read)
  }
  ctx.ignoredDirectives = [...ignored].slice(0, MAX_TOLD)
  return asked
}

function askForSchema(ctx: RouteContext, schema: string): void {
  const { askForSchema: ask } = ctx.endpoint
  if (ask === undefined) throw invalid('output_schema', 'is not known to this endpoint')
  const edits = ask(ctx.body, known(ctx.envelope, 'envelope'), schema)
  useBody(ctx, applyEdits(ctx.body, edits))
}

/** What stands where is read again. */
function useBody(ctx: RouteContext, body: Buffer): void {
  ctx.body = body
  ctx.envelope = ctx.endpoint.readEnvelope(body, ctx.plan.server.maxJsonDepth, ctx.pathModel)
}

function invalid(param: string, problem: string): GatewayError {
  return new GatewayError('invalid_request', `${param}: ${problem}.`, { details: { param } })
}
