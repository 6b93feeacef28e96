import { isRecord } from '../../lib/is-record.ts'

/** Readers of JSON that this store wrote itself. Damage reads as empty, never as a crash. */
export function parseObject(json: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(json)
  return isRecord(value) ? value : {}
}

export function parseTexts(json: string): readonly string[] {
  const value: unknown = JSON.parse(json)
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}

export function parseTextMap(json: string): Readonly<Record<string, string>> {
  const texts: Record<string, string> = {}
  for (const [name, value] of Object.entries(parseObject(json))) {
    if (typeof value === 'string') texts[name] = value
  }
  return texts
}
