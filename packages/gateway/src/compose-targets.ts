import type { EventBus } from './contracts/event.ts'
import type { NoteStore } from './contracts/store.ts'
import type { TargetControl } from './control-plane/control.ts'
import { MemoryTargetBook, type TargetChange } from './data-plane/routing/target-book.ts'
import { SYSTEM_CLOCK } from './lib/clock.ts'
import { LONGEST_WAIT_MS } from './lib/stated-wait.ts'
import { isRecord } from './lib/is-record.ts'
import type { GatewayPlan } from './plan/gateway-plan.ts'

/** Of targets whose account is empty: what outlives the process. */
const NOTE_KIND = 'target_quota'

type Given = {
  readonly events: Pick<EventBus, 'emit'>
  readonly store: { readonly notes: NoteStore }
  readonly options: { readonly onStoreProblem: (problem: string) => void }
}

export type ComposedTargets = {
  readonly book: MemoryTargetBook
  readonly control: TargetControl
  /** What an earlier process knew. */
  readonly restore: () => Promise<void>
}

/** The book of targets, with its changes told as events, and empty accounts remembered over restarts. */
export function composeTargets(plan: () => GatewayPlan, given: Given): ComposedTargets {
  const { notes } = given.store
  const book = new MemoryTargetBook({
    breaker: () => plan().health.breaker,
    onChange(change) {
      tell(given.events, change)
      if (change.kind === 'set_aside' && change.failure === 'quota') keep(given, change)
    },
  })
  book.usePlan(plan(), SYSTEM_CLOCK.monotonicMs())
  return {
    book,
    control: {
      signals: (target, nowMs) => book.signals(target, nowMs),
      list: (nowMs) => book.list(nowMs),
      isKnown: (target) => book.isKnown(target),
      async reset(target) {
        const known = book.reset(target, SYSTEM_CLOCK.monotonicMs())
        for (const one of known) await notes.delete(NOTE_KIND, one)
        return known
      },
    },
    restore: () =>
      restore(book, notes).catch(() =>
        given.options.onStoreProblem('which accounts were empty before could not be read'),
      ),
  }
}

const CIRCUIT_EVENTS = {
  closed: 'circuit.closed',
  open: 'circuit.opened',
  half_open: 'circuit.half_open',
} as const
const STATE_EVENTS = {
  healthy: 'target.recovered',
  degraded: 'target.degraded',
  down: 'target.down',
} as const

function tell(events: Pick<EventBus, 'emit'>, change: TargetChange): void {
  const { target } = change
  switch (change.kind) {
    case 'circuit':
      return events.emit(CIRCUIT_EVENTS[change.to], { target })
    case 'state': {
      const data = { target, from: change.from, to: change.to }
      events.emit('target.health_changed', data)
      return events.emit(STATE_EVENTS[change.to], data)
    }
    case 'set_aside': {
      const until = new Date(wallMs(change.untilMs)).toISOString()
      return events.emit('target.set_aside', { target, reason: change.failure, until })
    }
  }
}

function keep(
  { store: { notes }, options }: Given,
  { target, untilMs }: Extract<TargetChange, { kind: 'set_aside' }>,
): void {
  // What tells a policy's own credential apart ends with the process.
  if (target.includes(' ')) return
  const body = JSON.stringify({ until_ms: Math.ceil(wallMs(untilMs)) })
  notes
    .put(NOTE_KIND, [{ name: target, body, updatedAtMs: SYSTEM_CLOCK.wallMs() }])
    .catch(() =>
      options.onStoreProblem(`that the account of ${target} is empty could not be written down`),
    )
}

async function restore(book: MemoryTargetBook, notes: NoteStore): Promise<void> {
  const [nowMs, nowWallMs] = [SYSTEM_CLOCK.monotonicMs(), SYSTEM_CLOCK.wallMs()]
  for (const { name: target, body } of await notes.list(NOTE_KIND)) {
    const untilWallMs = untilOf(body)
    if (untilWallMs > nowWallMs && untilWallMs - nowWallMs <= LONGEST_WAIT_MS) {
      const untilMs = nowMs + (untilWallMs - nowWallMs)
      book.setAside({ target, failure: 'quota', untilMs }, nowMs)
    } else await notes.delete(NOTE_KIND, target)
  }
}

function untilOf(body: string): number {
  try {
    const note: unknown = JSON.parse(body)
    return isRecord(note) ? Number(note['until_ms']) : 0
  } catch {
    return 0
  }
}

/** The wall clock's time of a monotonic one. */
function wallMs(monotonicMs: number): number {
  return SYSTEM_CLOCK.wallMs() + (monotonicMs - SYSTEM_CLOCK.monotonicMs())
}
