import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'
import type { GatewayEvent } from '../../contracts/event.ts'
import type { Control } from '../control.ts'
import { adminClient, type Call } from './admin-client.ts'
import { testControl, type TestControl } from './test-control.ts'

export type UsedControl = {
  readonly place: () => TestControl
  readonly control: () => Control
  readonly call: Call
  /** Emitted since this control was made. */
  readonly seen: () => readonly GatewayEvent[]
}

/**
 * A control for the tests of this block: one for `each`, or `one` for all where they leave no traces. Opening a store
 * starts threads, which takes longer than most tests.
 */
export function useControl(
  lifetime: 'each' | 'one',
  config: Readonly<Record<string, unknown>>,
): UsedControl {
  let current: { place: TestControl; call: Call; seen: GatewayEvent[] } | null = null
  const open = async (): Promise<void> => {
    const place = await testControl(config)
    const seen: GatewayEvent[] = []
    place.control.events.subscribe(null, (event) => seen.push(event))
    current = { place, call: adminClient(place.control), seen }
  }
  const close = async (): Promise<void> => current?.place.remove()
  if (lifetime === 'each') {
    beforeEach(open)
    afterEach(close)
  } else {
    beforeAll(open)
    afterAll(close)
  }
  const opened = (): NonNullable<typeof current> => {
    if (current === null) throw new Error('Use it inside a test.')
    return current
  }
  return {
    place: () => opened().place,
    control: () => opened().place.control,
    call: (method, path, body) => opened().call(method, path, body),
    seen: () => opened().seen,
  }
}
