import { isUtf8 } from 'node:buffer'
import type { Envelope, Span } from '../contracts/envelope.ts'
import { GatewayError } from '../errors/gateway-error.ts'
import { type FormPart, FormScanError, scanForm } from '../lib/form-scan.ts'
import { checkModelName, invalidField } from './read-body.ts'
import { isRoutingMember } from './strip-routing.ts'

/** Fields that decide what is allowed, spent or reserved: each at most once, as a text, spelt like this. */
const GUARDED: ReadonlySet<string> = new Set(['model', 'stream', 'n', 'prompt'])
/** By an old custom of HTML this field names the encoding of the others. */
const CHARSET_FIELD = '_charset_'
const TEXT_TYPE = /^text\/plain(?:\s*;\s*charset="?(?:utf-8|us-ascii)"?)?$/i
/** A guarded field is a name, a number or a text for a model. Bytes. */
const MAX_FIELD_BYTES = 1024 * 1024
const MAX_MODEL_BYTES = 256

/** A form, checked, with its fields as the gateway and the provider both read them. */
export type ReadForm = {
  readonly parts: readonly FormPart[]
  readonly model: string
  readonly modelSpan: Span
  readonly stream: boolean
  /** The text of a guarded field; null when it is absent. */
  text(name: string): string | null
}

/** Checks a form once. Throws `invalid_request` with the place and without any of the content. */
export function readForm(bytes: Buffer, boundary: string): ReadForm {
  const parts = scan(bytes, boundary)
  const guarded = new Map<string, FormPart>()
  for (const part of parts) keepGuarded(bytes, part, guarded)
  const text = (name: string): string | null => {
    const part = guarded.get(name)
    return part === undefined ? null : bytes.toString('utf8', part.start, part.end)
  }
  const modelPart = guarded.get('model')
  if (modelPart === undefined) throw invalidField('model', 'is required.')
  if (modelPart.end - modelPart.start > MAX_MODEL_BYTES) throw invalidField('model', 'is too long.')
  const model = text('model') ?? ''
  checkModelName(model)
  const { start, end } = modelPart
  return { parts, model, modelSpan: { start, end }, stream: readStream(text('stream')), text }
}

function scan(bytes: Buffer, boundary: string): readonly FormPart[] {
  try {
    return scanForm(bytes, boundary)
  } catch (thrown) {
    if (!(thrown instanceof FormScanError)) throw thrown
    const problem = `The form is not valid: ${thrown.message} (byte ${thrown.at}).`
    throw new GatewayError('invalid_request', problem)
  }
}

function keepGuarded(bytes: Buffer, part: FormPart, guarded: Map<string, FormPart>): void {
  const { name } = part
  // `model[]` and `Model` are the same field to some servers.
  const root = (name.split('[', 1)[0] ?? '').toUpperCase().toLowerCase()
  if (root === CHARSET_FIELD || isRoutingMember(root)) {
    throw invalidField(root, 'is not accepted in a form.')
  }
  if (!GUARDED.has(root)) return
  if (name !== root)
    throw invalidField(root, 'must be written in lower case, and without brackets.')
  if (guarded.has(name)) throw invalidField(name, 'must be given once.')
  const isText = part.contentType === null || TEXT_TYPE.test(part.contentType)
  if (part.file || !isText) throw invalidField(name, 'must be a text, not a file.')
  if (part.end - part.start > MAX_FIELD_BYTES) throw invalidField(name, 'is too long.')
  if (!isUtf8(bytes.subarray(part.start, part.end))) throw invalidField(name, 'is not valid UTF-8.')
  guarded.set(name, part)
}

function readStream(text: string | null): boolean {
  if (text === null || text === 'false') return false
  if (text !== 'true') throw invalidField('stream', 'must be true or false.')
  return true
}

/** A positive whole number; null when the field is absent. */
export function readFormCount(form: ReadForm, name: string, most: number): number | null {
  const text = form.text(name)
  if (text === null) return null
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (count < 1 || count > most) {
    throw invalidField(name, `must be a whole number from 1 to ${most}.`)
  }
  return count
}

/** Where the bytes of the files are found in the values of a form: no field can have this name. */
const FILES = ' files'

/** The envelope of a form. Its members are none: nothing is ever added to a form, and only its model is changed. */
export function formEnvelope(
  bytes: Buffer,
  form: ReadForm,
  spends: { readonly maxOutputTokens: number; readonly choices: number },
): Envelope {
  return {
    model: form.model,
    modelSpan: form.modelSpan,
    stream: form.stream,
    maxOutputTokens: spends.maxOutputTokens,
    maxOutputSpans: [],
    choices: spends.choices,
    streamUsage: true,
    members: new Map(),
    membersEndAt: 0,
    sizeBytes: bytes.length,
    values: () => ({ prompt: form.text('prompt') ?? '', [FILES]: fileSizes(form) }),
  }
}

/** The size of each file of a form. Bytes. */
export function fileSizes({ parts }: Pick<ReadForm, 'parts'>): readonly number[] {
  return parts.filter(({ file }) => file).map(({ start, end }) => end - start)
}

/** The same, of an envelope that may have been read from a form. */
export function filesOf(envelope: Envelope): readonly number[] {
  const files = envelope.values()[FILES]
  return Array.isArray(files) ? files.filter((size) => typeof size === 'number') : []
}
