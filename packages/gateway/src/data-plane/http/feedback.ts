import { GatewayError } from '../../errors/gateway-error.ts'
import { isRecord } from '../../lib/is-record.ts'

/** What a client said of an answer that it got. */
export type Feedback = {
  readonly requestId: string
  /** 0: useless, 1: perfect. */
  readonly score: number
  readonly comment: string | null
}

const MAX_COMMENT_CHARS = 4000
const MAX_ID_CHARS = 256
const RATINGS: ReadonlyMap<unknown, number> = new Map<unknown, number>([
  ['good', 1],
  ['bad', 0],
])

/** Reads `{request_id, score | rating, comment?}`. Throws `invalid_request` with the member that is wrong. */
export function readFeedback(body: Buffer): Feedback {
  const value = parsed(body)
  const { request_id: requestId, score, rating, comment = null, ...others } = value
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) throw invalid(unknown, 'is not known')
  if (typeof requestId !== 'string' || requestId === '' || requestId.length > MAX_ID_CHARS) {
    throw invalid('request_id', 'must be the x-request-id of an answer')
  }
  if (comment !== null && (typeof comment !== 'string' || comment.length > MAX_COMMENT_CHARS)) {
    throw invalid('comment', `must be a text of at most ${MAX_COMMENT_CHARS} characters`)
  }
  return { requestId, score: scoreOf(score, rating), comment }
}

function scoreOf(score: unknown, rating: unknown): number {
  if (score !== undefined && rating !== undefined) throw invalid('rating', 'stands beside a score')
  if (rating !== undefined) {
    const known = RATINGS.get(rating)
    if (known === undefined) throw invalid('rating', 'must be "good" or "bad"')
    return known
  }
  if (typeof score !== 'number' || !(score >= 0 && score <= 1)) {
    throw invalid('score', 'must be a number from 0 to 1')
  }
  return score
}

function parsed(body: Buffer): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(body.toString())
  } catch {
    throw new GatewayError('invalid_request', 'The body is not JSON.')
  }
  if (!isRecord(value)) throw new GatewayError('invalid_request', 'The body must be an object.')
  return value
}

function invalid(param: string, problem: string): GatewayError {
  return new GatewayError('invalid_request', `${param}: ${problem}.`, { details: { param } })
}
