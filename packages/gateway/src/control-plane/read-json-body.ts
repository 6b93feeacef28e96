import { isRecord } from '../lib/is-record.ts'
import { JsonScanError, scanJsonObject } from '../lib/json-scan.ts'
import { AdminError } from './admin-error.ts'

const MAX_BODY_BYTES = 1_048_576
const MAX_DEPTH = 64

/** The body as a JSON object; no body at all is an empty object. Throws `body_too_large` or `malformed_json`. */
export async function readJsonBody(request: Request): Promise<Readonly<Record<string, unknown>>> {
  const bytes = await readBytes(request)
  if (bytes.length === 0) return {}
  const body = parse(bytes)
  if (!isRecord(body)) throw malformed('is no JSON object')
  try {
    // What JSON.parse lets pass: members given twice, and a depth on which later steps would run out of stack.
    scanJsonObject(bytes, { maxDepth: MAX_DEPTH, refuseDuplicateKeys: true, watch: null })
  } catch (cause) {
    throw malformed(cause instanceof JsonScanError ? cause.message : 'cannot be read')
  }
  return body
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw malformed('is no valid JSON in UTF-8')
  }
}

function malformed(problem: string): AdminError {
  return new AdminError('malformed_json', `The body ${problem}.`)
}

async function readBytes(request: Request): Promise<Buffer> {
  if (Number(request.headers.get('content-length') ?? 0) > MAX_BODY_BYTES) throw tooLarge()
  if (request.body === null) return Buffer.alloc(0)
  const chunks: Uint8Array[] = []
  let sizeBytes = 0
  for await (const chunk of request.body) {
    sizeBytes += chunk.byteLength
    if (sizeBytes > MAX_BODY_BYTES) throw tooLarge()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function tooLarge(): AdminError {
  return new AdminError('body_too_large', `The body is larger than ${MAX_BODY_BYTES} bytes.`)
}
