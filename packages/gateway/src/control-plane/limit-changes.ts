import { allLimits } from '../config/limit-shorthands.ts'
import { parsePolicy } from '../config/policy-schema.ts'
import type { PolicyConfig } from '../config/policy-config.ts'
import type { CounterState, LimitUnit } from '../contracts/limit.ts'
import { scaledInteger } from '../lib/decimal.ts'
import type { GrantLimitBody, ResetLimitBody } from './admin-api.ts'
import { AdminError } from './admin-error.ts'
import type { Control } from './control.ts'
import { allKeys } from './find-key.ts'
import { inTurn } from './in-turn.ts'

const NANO_DECIMALS = 9

/** Sets what was counted to zero. Returns how many counters that were. Throws `not_found` for a limit that nobody has. */
export function resetLimit(control: Control, id: string, body: ResetLimitBody): Promise<number> {
  return inTurn(control.store, async () => {
    await unitOf(control, id, body.value ?? null)
    const states = await control.gate.reset(id, body.value ?? null)
    await save(control, states)
    control.events.emit('limit.reset', {
      limit: id,
      value: body.value ?? null,
      counters: states.length,
    })
    return states.length
  })
}

/**
 * Adds an allowance to the current window of one counter.
 *
 * Throws `invalid_request` for an amount that the unit cannot have, `not_found` for a limit that nobody has, and
 * `no_counter` when this value has not been counted yet.
 */
export function grantLimit(control: Control, id: string, body: GrantLimitBody): Promise<number> {
  return inTurn(control.store, async () => {
    const unit = await unitOf(control, id, body.value)
    const states = await control.gate.grant(id, body.value, inUnit(body.amount, unit))
    if (states.length === 0) {
      throw new AdminError(
        'no_counter',
        `Nothing has been counted for "${body.value}" by the limit "${id}" yet.`,
        { path: 'value' },
      )
    }
    await save(control, states)
    control.events.emit('limit.granted', {
      limit: id,
      value: body.value,
      unit,
      amount: body.amount,
    })
    return states.length
  })
}

async function save(control: Control, states: readonly CounterState[]): Promise<void> {
  if (states.length > 0) await control.store.counters.put(states)
}

async function unitOf(control: Control, id: string, value: string | null): Promise<LimitUnit> {
  const counters = (await control.gate.list()).filter((counter) => counter.id === id)
  const counted = counters.find((counter) => counter.value === value) ?? counters[0]
  if (counted !== undefined) return counted.unit
  const written = (await writtenPolicies(control)).flatMap(allLimits).find((one) => one.id === id)
  if (written !== undefined) return written.unit
  throw new AdminError('not_found', 'No limit has this id.')
}

async function writtenPolicies(control: Control): Promise<readonly PolicyConfig[]> {
  const { global, teams, named } = control.plan().policies
  const own = (await allKeys(control)).flatMap(({ policy }) => {
    const parsed = parsePolicy(policy)
    return parsed.ok ? [parsed.policy] : []
  })
  const layers = [global, ...teams.values(), ...named.values(), ...own]
  return [...layers, ...layers.flatMap(({ providers }) => providers ?? [])]
}

function inUnit(amount: number, unit: LimitUnit): number {
  const whole = scaledInteger(amount, unit === 'usd' ? NANO_DECIMALS : 0)
  if (whole !== null && whole > 0) return whole
  const rule = unit === 'usd' ? 'US dollars with at most nine decimals' : 'a whole number'
  throw new AdminError('invalid_request', `amount: must be ${rule}`, { path: 'amount' })
}
