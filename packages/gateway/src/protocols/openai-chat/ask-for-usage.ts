import type { ByteEdit, Envelope } from '../../contracts/envelope.ts'
import { isRecord } from '../../lib/is-record.ts'
import { scanJsonObject } from '../../lib/json-scan.ts'
import { addMember } from '../edits.ts'
import { invalidField } from '../read-body.ts'

const OPEN_OBJECT = 0x7b
/** The body was checked before. */
const OPTIONS_SCAN = { maxDepth: Infinity, refuseDuplicateKeys: false, watch: null } as const

/** Whether the client itself asked for usage on the stream. Throws `invalid_request`. */
export function asksForUsage(options: unknown): boolean {
  if (options === undefined || options === null) return false
  if (!isRecord(options)) throw invalidField('stream_options', 'must be an object.')
  return options['include_usage'] === true
}

/** Adds `stream_options.include_usage`, keeping other stream options as written. */
export function askForUsage(body: Buffer, envelope: Envelope): ByteEdit | null {
  if (!envelope.stream || envelope.streamUsage) return null
  const span = envelope.members.get('stream_options')
  if (span === undefined) return addMember(envelope, 'stream_options', '{"include_usage":true}')
  if (body[span.start] !== OPEN_OBJECT) {
    return { ...span, text: '{"include_usage":true}' }
  }
  const options = scanJsonObject(body, OPTIONS_SCAN, span.start, span.end)
  const asked = options.members.get('include_usage')
  if (asked !== undefined) return { ...asked, text: 'true' }
  const comma = options.members.size === 0 ? '' : ','
  const at = options.membersEndAt
  return { start: at, end: at, text: `${comma}"include_usage":true` }
}
