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
  readonly policy: string
  readonly amount: number
}

const itemsByLimit = new WeakMap<LimitPlan, Items>()

/** `ratelimit-policy` of one set of limits, which most requests of a key share. */
type Policy = { readonly items: readonly Items[]; readonly text: string }

/** By the first limit of the set. */
const policies = new WeakMap<LimitPlan, Policy>()

/**
 * `ratelimit-policy` and `ratelimit` with one item per limit, all limits, as names and values in turn. Empty without
 * limits. `nowMs` is wall time.
 *
 * Hot: once per response. What does not change with use is written once.
 *
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/09/ (from general knowledge; the draft's
 * existence was checked, its text not read live)
 */
export function limitHeaders(states: readonly LimitState[], nowMs: number): readonly string[] {
  const [first] = states
  if (first === undefined) return []
  const known = policies.get(first.limit)
  let same = known !== undefined && known.items.length === states.length
  const items: Items[] = []
  let left = ''
  for (let i = 0; i < states.length; i++) {
    const state = states[i]
    if (state === undefined) continue
    const item = itemsOf(state)
    items.push(item)
    same &&= known?.items[i] === item
    left += `${i === 0 ? '' : ', '}${item.name};r=${integer(remainingOf(state))}${resetIn(state, nowMs)}`
  }
  const policy = same && known !== undefined ? known : remember(first.limit, items)
  return ['ratelimit-policy', policy.text, 'ratelimit', left]
}

function remember(first: LimitPlan, items: readonly Items[]): Policy {
  const policy = { items, text: items.map((item) => item.policy).join(', ') }
  policies.set(first, policy)
  return policy
}

/** Made anew when an allowance changes the amount. */
function itemsOf({ limit, amount }: LimitState): Items {
  const known = itemsByLimit.get(limit)
  if (known !== undefined && known.amount === amount) return known
  const windowSec = windowSeconds(limit.algorithm)
  const window = windowSec === null ? '' : `;w=${integer(windowSec)}`
  const name = quoted(limit.id)
  const policy = `${name};q=${integer(amount)}${window}${QUOTA_UNITS[limit.unit]}`
  const items = { name, policy, amount }
  itemsByLimit.set(limit, items)
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
