import type { FullLimit } from '../config/limit-shorthands.ts'
import { refillOf } from '../config/limit-shorthands.ts'

const MODES = ['shadow', 'warn', 'enforce']
const ON_FAILURE = ['allow', 'local', 'deny']

/**
 * Why a limit would let more through than the one it replaces; null when it is at least as strict in every way.
 *
 * Limits that count other things, or in other windows, cannot be compared, and count as looser.
 */
export function looserThan(parent: FullLimit, child: FullLimit): string | null {
  const same = ['scope', 'unit', 'algorithm', 'window'] as const
  for (const field of same) {
    if (parent[field] !== child[field]) return differs(field, parent[field], child[field])
  }
  if ((parent.align ?? 'clock') !== (child.align ?? 'clock')) {
    return differs('align', parent.align, child.align)
  }
  if (JSON.stringify(parent.match ?? null) !== JSON.stringify(child.match ?? null)) {
    return 'match differs from the inherited one'
  }
  if (JSON.stringify(parent.values ?? null) !== JSON.stringify(child.values ?? null)) {
    return 'values differ from the inherited ones'
  }
  return looserAmount(parent, child) ?? looserWay(parent, child)
}

function looserAmount(parent: FullLimit, child: FullLimit): string | null {
  const pairs = [
    ['amount', parent.amount, child.amount],
    ['capacity', parent.capacity, child.capacity],
    ['refill_per_sec', refillOf(parent), refillOf(child)],
  ] as const
  for (const [field, before = 0, after = 0] of pairs) {
    if (after > before) return `${field} ${after} is more than the inherited ${before}`
  }
  return null
}

function looserWay(parent: FullLimit, child: FullLimit): string | null {
  if (MODES.indexOf(child.mode ?? 'enforce') < MODES.indexOf(parent.mode ?? 'enforce')) {
    return differs('mode', parent.mode ?? 'enforce', child.mode)
  }
  if (child.reserve === 'expected' && parent.reserve !== 'expected') {
    return differs('reserve', parent.reserve ?? 'auto', child.reserve)
  }
  const before = ON_FAILURE.indexOf(parent.on_backend_failure ?? 'local')
  if (ON_FAILURE.indexOf(child.on_backend_failure ?? 'local') < before) {
    return differs('on_backend_failure', parent.on_backend_failure, child.on_backend_failure)
  }
  return null
}

function differs(field: string, before: unknown, after: unknown): string {
  return `${field} ${String(after)} is looser than, or cannot be compared with, the inherited ${String(before)}`
}
