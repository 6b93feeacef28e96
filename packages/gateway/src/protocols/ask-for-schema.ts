import type { ByteEdit, Envelope } from '../contracts/envelope.ts'
import { isRecord } from '../lib/is-record.ts'
import { addMember } from './edits.ts'
import { invalidField } from './read-body.ts'

/** Where a protocol's requests say the form of their answer. */
export type FormPlace = {
  /** The member, in each of its spellings; the first is the one that is written. */
  readonly names: readonly string[]
  /** Members inside it that ask for a form already; null: the member itself does. */
  readonly taken: readonly string[] | null
  /** Other members of the body that do. */
  readonly beside?: readonly string[]
  /** The members to write inside, without the braces. */
  readonly write: (schema: string) => string
}

/** Writes a schema into requests that ask for no form yet. Throws `invalid_request` for those that do. */
export function schemaWriter(
  place: FormPlace,
): (body: Buffer, envelope: Envelope, schema: string) => readonly ByteEdit[] {
  const { names, taken, beside = [], write } = place
  const [first = ''] = names
  return (body, envelope, schema) => {
    if (beside.some((name) => envelope.members.has(name))) throw alreadyAsked(first)
    const json = write(schema)
    const name = names.find((one) => envelope.members.has(one))
    const span = name === undefined ? undefined : envelope.members.get(name)
    if (span === undefined) return [addMember(envelope, first, `{${json}}`)]
    const value: unknown = JSON.parse(body.toString('utf8', span.start, span.end))
    if (value === null) return [{ ...span, text: `{${json}}` }]
    const isFree = isRecord(value) && taken !== null && !taken.some((one) => one in value)
    if (!isFree) throw alreadyAsked(first)
    const at = span.start + 1
    const comma = Object.keys(value).length === 0 ? '' : ','
    return [{ start: at, end: at, text: json + comma }]
  }
}

function alreadyAsked(member: string): Error {
  return invalidField('output_schema', `cannot be given together with ${member}.`)
}
