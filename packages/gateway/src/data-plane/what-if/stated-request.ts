import type { Envelope } from '../../contracts/envelope.ts'
import type { Needs } from '../../contracts/routing.ts'
import type { RouteContext } from '../pipeline/request-context.ts'

/** A request of which only the size and the needs are told, not what it says. */
export type StatedRequest = {
  readonly model: string
  readonly stream: boolean
  readonly inputTokens: number
  /** The client's own cap; null: it gives none. */
  readonly maxOutputTokens: number | null
  readonly needs: Omit<Needs, 'streaming'>
}

const NOTHING = new Map()
const NO_VALUES = {}

/** In the place of a body and its envelope. */
export function stateRequest(ctx: RouteContext, stated: StatedRequest): void {
  const { model, stream, inputTokens, maxOutputTokens, needs } = stated
  const envelope: Envelope = {
    model,
    modelSpan: null,
    stream,
    maxOutputTokens,
    maxOutputSpans: [],
    choices: 1,
    streamUsage: false,
    members: NOTHING,
    membersEndAt: 0,
    sizeBytes: inputTokens,
    values: () => NO_VALUES,
  }
  ctx.envelope = envelope
  ctx.statedInputTokens = inputTokens
  ctx.needs = { ...needs, streaming: stream }
}
