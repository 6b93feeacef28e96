import { GatewayError } from '../errors/gateway-error.ts'

/** `404` or `4xx`. */
export function statusRange(status: string): { from: number; to: number } {
  if (/^[1-5]xx$/i.test(status)) {
    const from = Number(status.charAt(0)) * 100
    return { from, to: from + 100 }
  }
  if (/^[1-5]\d\d$/.test(status)) return { from: Number(status), to: Number(status) + 1 }
  throw new GatewayError(
    'invalid_request',
    'status is a number such as 404 or a class such as 4xx.',
    {
      details: { param: 'status' },
    },
  )
}

/** A place between two records: the one it names and its older neighbour. */
export type Cursor = { readonly startedAtMs: number; readonly id: string }

export function writeCursor({ startedAtMs, id }: Cursor): string {
  return Buffer.from(`${startedAtMs}:${id}`).toString('base64url')
}

export function readCursor(text: string): Cursor {
  const match = /^(\d{1,16}):(.+)$/.exec(Buffer.from(text, 'base64url').toString())
  if (match?.[1] === undefined || match[2] === undefined) {
    throw new GatewayError('invalid_request', 'cursor must be the `next` of an earlier page.', {
      details: { param: 'cursor' },
    })
  }
  return { startedAtMs: Number(match[1]), id: match[2] }
}
