import { isRecord } from '../lib/is-record.ts'
import type { GatewayConfig } from './gateway-config.ts'
import { Secret } from './secret.ts'

const HIDDEN = '***'
/** Maps whose values may hold a credential that somebody did not put where it belongs. */
const OPAQUE_MAPS: ReadonlySet<string> = new Set(['headers', 'query'])

/** The configuration for `config show` and the admin API: a secret is shown as its reference, never as its value. */
export function redactConfig(config: GatewayConfig): Readonly<Record<string, unknown>> {
  const redacted = redact(config)
  return isRecord(redacted) ? redacted : {}
}

function redact(value: unknown): unknown {
  if (value instanceof Secret)
    return value.missing ? `${value.reference} (missing)` : value.reference
  if (Array.isArray(value)) return value.map(redact)
  if (!isRecord(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      OPAQUE_MAPS.has(name) && isRecord(member) ? hideValues(member) : redact(member),
    ]),
  )
}

function hideValues(map: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.keys(map).map((name) => [name, HIDDEN]))
}
