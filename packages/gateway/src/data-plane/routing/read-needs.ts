import { type Needs, NO_NEEDS } from '../../contracts/routing.ts'
import { known, type RouteContext } from '../pipeline/request-context.ts'

/** What the request needs of a target; only its stream, unless somebody `asks` for the rest. Kept on the context. */
export function readNeeds(ctx: RouteContext, asks: boolean): Needs {
  if (ctx.needs !== null) return ctx.needs
  const envelope = known(ctx.envelope, 'envelope')
  if (!asks || ctx.endpoint.readNeeds === undefined) return envelope.stream ? STREAM : NO_NEEDS
  ctx.needs = { ...ctx.endpoint.readNeeds(ctx.body, envelope), streaming: envelope.stream }
  return ctx.needs
}

const STREAM: Needs = { ...NO_NEEDS, streaming: true }
