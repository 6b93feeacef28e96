import { isRecord } from '../lib/is-record.ts'

/** A provider's whole answer; null when it is not one JSON object. */
export function parseAnswer(body: Buffer): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    return isRecord(value) ? value : null
  } catch {
    return null
  }
}

export function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null
}
