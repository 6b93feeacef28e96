/**
 * One strict pass over a `multipart/form-data` body: where its parts stand, without copying any of them.
 *
 * The gateway forwards the bytes, so it must know that the provider will find the same parts. What two readers could
 * take for different parts is refused: text before the first boundary, a boundary inside a line, folded or repeated part
 * headers, an escaped quote. Linear time.
 */
export type FormPart = {
  readonly name: string
  /** Whether the part has a file name. */
  readonly file: boolean
  /** Of the part itself; null: it has none. */
  readonly contentType: string | null
  /** The content's bytes `[start, end)`. */
  readonly start: number
  readonly end: number
}

/** Thrown on anything that is not one strict form. `at` is a byte offset. */
export class FormScanError extends Error {
  override readonly name = 'FormScanError'
  readonly at: number

  constructor(problem: string, at: number) {
    super(problem)
    this.at = at
  }
}

/** More than any form of an API has. */
const MAX_PARTS = 1000
const MAX_HEAD_BYTES = 8192
const LINE_END = '\r\n'
const HEAD_END = '\r\n\r\n'

/** `boundary`: as the header has it, without the leading dashes. Throws `FormScanError`. */
export function scanForm(bytes: Buffer, boundary: string): readonly FormPart[] {
  const delimiter = `--${boundary}`
  if (!standsAt(bytes, delimiter, 0)) {
    throw new FormScanError('it does not begin with the boundary of its header', 0)
  }
  const parts: FormPart[] = []
  let at = delimiter.length
  while (!standsAt(bytes, '--', at)) {
    if (!standsAt(bytes, LINE_END, at))
      throw new FormScanError('a boundary is not a whole line', at)
    if (parts.length >= MAX_PARTS) throw new FormScanError('it has too many parts', at)
    const start = at + LINE_END.length
    const head = readHead(bytes, start, delimiter)
    const content = start + head.sizeBytes
    const next = bytes.indexOf(delimiter, content, 'latin1')
    if (next === -1) throw new FormScanError('it ends inside a part', bytes.length)
    const end = next - LINE_END.length
    if (end < content || !standsAt(bytes, LINE_END, end)) {
      throw new FormScanError('a boundary does not begin a line', next)
    }
    parts.push({ ...head.described, start: content, end })
    at = next + delimiter.length
  }
  const rest = at + 2
  if (rest !== bytes.length && !(standsAt(bytes, LINE_END, rest) && rest + 2 === bytes.length)) {
    throw new FormScanError('text follows the last boundary', rest)
  }
  return parts
}

type Described = Pick<FormPart, 'name' | 'file' | 'contentType'>

function readHead(
  bytes: Buffer,
  start: number,
  delimiter: string,
): { readonly described: Described; readonly sizeBytes: number } {
  const window = bytes.toString('latin1', start, start + MAX_HEAD_BYTES)
  const length = window.indexOf(HEAD_END)
  const head = length === -1 ? '' : window.slice(0, length)
  if (length === -1 || head.includes(delimiter)) {
    throw new FormScanError('the head of a part is too large or has no end', start)
  }
  return {
    described: describe(readFields(head, start), start),
    sizeBytes: length + HEAD_END.length,
  }
}

const FIELD = /^([\w!#$%&'*+.^`|~-]+):[ \t]*([^\r\n]*)$/

function readFields(head: string, at: number): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  for (const line of head.split(LINE_END)) {
    const match = isPlain(line) ? FIELD.exec(line) : null
    if (match === null) throw new FormScanError('a part has a header that cannot be read', at)
    const name = (match[1] ?? '').toLowerCase()
    if (fields.has(name)) throw new FormScanError('a part has the same header twice', at)
    fields.set(name, (match[2] ?? '').trim())
  }
  return fields
}

/** Without control characters, but for the tab. */
function isPlain(line: string): boolean {
  for (let i = 0; i < line.length; i++) {
    const code = line.charCodeAt(i)
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return false
  }
  return true
}

const NAME = /^[\w.[\]-]{1,128}$/
/** Their content is what it is. Others (`base64`) would be decoded by some readers only. */
const PLAIN_ENCODINGS: ReadonlySet<string> = new Set(['7bit', '8bit', 'binary'])

function describe(fields: ReadonlyMap<string, string>, at: number): Described {
  const parameters = readDisposition(fields.get('content-disposition') ?? '', at)
  const name = parameters.get('name') ?? ''
  if (!NAME.test(name)) throw new FormScanError('a part has no name that is accepted', at)
  const encoding = fields.get('content-transfer-encoding')?.toLowerCase() ?? 'binary'
  const contentType = fields.get('content-type') ?? null
  const nested = contentType?.toLowerCase().startsWith('multipart/') ?? false
  if (nested || !PLAIN_ENCODINGS.has(encoding)) {
    throw new FormScanError('a part is encoded, or made of parts', at)
  }
  return { name, file: parameters.has('filename') || parameters.has('filename*'), contentType }
}

/** A backslash before a quote is refused: some readers end the text there, others behind it. */
const PARAMETER = /;[ \t]*([\w*-]+)=(?:"([^"\\]*(?:\\[^"][^"\\]*)*)"|([^\s"\\;,()<>@:/[\]?={}]+))/y
const DISPOSITION = /^form-data(?=;|$)/i
const PARAMETERS: ReadonlySet<string> = new Set(['name', 'filename', 'filename*'])

function readDisposition(text: string, at: number): ReadonlyMap<string, string> {
  const kind = DISPOSITION.exec(text)
  const parameters = new Map<string, string>()
  let end = kind?.[0].length ?? 0
  for (;;) {
    PARAMETER.lastIndex = end
    const match = kind === null ? null : PARAMETER.exec(text)
    if (match === null) break
    const name = (match[1] ?? '').toLowerCase()
    if (!PARAMETERS.has(name) || parameters.has(name)) break
    parameters.set(name, match[2] ?? match[3] ?? '')
    end = PARAMETER.lastIndex
  }
  if (kind === null || end < text.length) {
    throw new FormScanError('a part has a content-disposition that cannot be read', at)
  }
  return parameters
}

function standsAt(bytes: Buffer, text: string, at: number): boolean {
  if (at < 0 || at + text.length > bytes.length) return false
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false
  return true
}
