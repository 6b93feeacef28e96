import type {
  LimitAlgorithm,
  LimitPlan,
  LimitState,
  LimitUnit,
  Window,
} from '../../contracts/limit.ts'
import { remainingOf } from '../../lib/tightest-limit.ts'

const MS_PER_SEC = 1000
const SECONDS_PER_DAY = 86_400
/** Structured fields allow integers of 15 digits. RFC 9651, section 3.3.1. */
const LARGEST_INTEGER = 999_999_999_999_999

/** Quota units. `requests` is the draft's default; money is whole nano-dollars, since `q` and `r` are integers. */
const QUOTA_UNITS: Readonly<Record<LimitUnit, string>> = {
  requests: '',
  tokens: ';qu="tokens"',
  input_tokens: ';qu="input-tokens"',
  output_tokens: ';qu="output-tokens"',
  usd: ';qu="nano-usd"',
  concurrent: ';qu="concurrent-requests"',
}

/** The parts of a limit's items that do not change with use. */
type Items = {
  readonly name: string
  readonly window: string
}

const itemsByLimit = new WeakMap<LimitPlan, Items>()

/**
 * `ratelimit-policy` and `ratelimit` with one item per limit, all limits. Empty without limits. `nowMs` is wall time.
 *
 * Hot: once per response.
 *
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/09/ (from general knowledge; the draft's
 * existence was checked, its text not read live)
 */
export function limitHeaders(
  states: readonly LimitState[],
  nowMs: number,
): Readonly<Record<string, string>> {
  if (states.length === 0) return {}
  let policy = ''
  let left = ''
  for (const state of states) {
    const items = itemsOf(state.limit)
    const separator = policy === '' ? '' : ', '
    policy += `${separator}${items.name};q=${integer(state.amount)}${items.window}`
    left += `${separator}${items.name};r=${integer(remainingOf(state))}${resetIn(state, nowMs)}`
  }
  return { 'ratelimit-policy': policy, ratelimit: left }
}

function itemsOf(limit: LimitPlan): Items {
  let items = itemsByLimit.get(limit)
  if (items === undefined) {
    const windowSec = windowSeconds(limit.algorithm)
    items = {
      name: quoted(limit.id),
      window: `${windowSec === null ? '' : `;w=${integer(windowSec)}`}${QUOTA_UNITS[limit.unit]}`,
    }
    itemsByLimit.set(limit, items)
  }
  return items
}

/** A bucket's window is the time in which it fills. Null: no window. */
function windowSeconds(algorithm: LimitAlgorithm): number | null {
  switch (algorithm.kind) {
    case 'bucket':
      return algorithm.refillPerSec === 0
        ? null
        : Math.ceil(algorithm.capacity / algorithm.refillPerSec)
    case 'sliding':
    case 'fixed':
      return nominalSeconds(algorithm.window)
    case 'lifetime':
    case 'concurrent':
    default:
      return null
  }
}

/** The field wants seconds, and a calendar month has no fixed number of them. */
function nominalSeconds(window: Window): number {
  if (window.kind === 'duration') return Math.ceil(window.ms / MS_PER_SEC)
  const years = Math.floor(window.months / 12)
  return (years * 365 + (window.months % 12) * 30) * SECONDS_PER_DAY
}

function resetIn(state: LimitState, nowMs: number): string {
  if (state.resetsAtMs === null) return ''
  return `;t=${integer(Math.max(0, Math.ceil((state.resetsAtMs - nowMs) / MS_PER_SEC)))}`
}

function integer(value: number): number {
  return Math.min(LARGEST_INTEGER, Math.max(0, Math.floor(value)))
}

/** A structured-field string: printable ASCII, `"` and `\` escaped; anything else would make the whole field invalid. */
function quoted(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`
}
