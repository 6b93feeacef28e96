import { randomBytes } from 'node:crypto'

const BASE32 = '0123456789abcdefghjkmnpqrstvwxyz'
const TIME_DIGITS = 10
/** Random part, renewed for each process; the counter makes ids of one process unique. */
const PROCESS_PART = digits(randomBytes(6).readUIntBE(0, 6), TIME_DIGITS)
const COUNTER_DIGITS = 6
const COUNTER_LIMIT = 32 ** COUNTER_DIGITS

let counter = 0
let lastMs = 0
let lastTimePart = ''

/** An id that sorts by time, also within one millisecond: prefix, time, counter, process. Hot: once per request. */
export function sortableId(prefix: string, nowMs: number): string {
  if (nowMs !== lastMs) {
    lastMs = nowMs
    lastTimePart = digits(nowMs, TIME_DIGITS)
  }
  counter = (counter + 1) % COUNTER_LIMIT
  return prefix + lastTimePart + digits(counter, COUNTER_DIGITS) + PROCESS_PART
}

function digits(value: number, count: number): string {
  let rest = value
  let text = ''
  for (let i = 0; i < count; i++) {
    text = BASE32.charAt(rest % 32) + text
    rest = Math.floor(rest / 32)
  }
  return text
}

/** Names one request in headers, logs and its record. */
export function newRequestId(): string {
  return sortableId('req_', Date.now())
}
