import { createHash, hash } from 'node:crypto'
import { GatewayError } from '../../errors/gateway-error.ts'
import type { RequestHead } from '../http/request-head.ts'
import { known, type RequestContext } from '../pipeline/request-context.ts'
import { passedQuery } from '../upstream/build-request.ts'

const NAME = 'idempotency-key'
const OTHER_NAME = 'x-idempotency-key'
const VALID = /^[\x21-\x7e]{1,255}$/

/** The key of a request that is to run once; null: it has none. Throws `invalid_request`. Hot: runs for every request. */
export function idempotencyKey({ fields }: RequestHead): string | null {
  let found: string | null = null
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]
    if (name !== NAME && name !== OTHER_NAME) continue
    const value = fields[i + 1] ?? ''
    if (!VALID.test(value)) throw invalid('must have 1 to 255 visible ASCII characters')
    if (found !== null && found !== value) throw invalid('is given twice, with different values')
    found = value
  }
  return found
}

function invalid(problem: string): GatewayError {
  return new GatewayError('invalid_request', `The Idempotency-Key ${problem}.`, {
    details: { param: 'Idempotency-Key' },
  })
}

/**
 * Whose key it is, and where: two virtual keys, or two paths, never meet. Who needs no virtual key is known by its address.
 * Nothing of it can be read back.
 */
export function entryId(ctx: RequestContext, idempotent: string): string {
  const key = known(ctx.key, 'key')
  const place = key === ctx.plan.anonymous ? ctx.clientIp : ''
  return hash('sha256', JSON.stringify([key.record.id, place, ctx.head.path, idempotent]), 'hex')
}

/**
 * Of everything that makes two requests the same: query and body. A form is written with another boundary each time it is
 * sent, so its boundary does not count. A key in the query is no part of the request.
 */
export function fingerprintOf(ctx: RequestContext): string {
  const { body, boundary, head, protocol } = ctx
  const digest = createHash('sha256').update(`${passedQuery(head.query, protocol)}\n`)
  if (boundary === null) return digest.update(body).digest('hex')
  const line = Buffer.from(`--${boundary}`)
  let from = 0
  for (let at = body.indexOf(line); at !== -1; at = body.indexOf(line, from)) {
    // The length of each part keeps the parts apart.
    digest.update(body.subarray(from, at)).update(`\n${at - from}\n`)
    from = at + line.length
  }
  return digest.update(body.subarray(from)).digest('hex')
}
