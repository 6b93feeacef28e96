import type { Demand, LimitCharge, Refusal } from '../../../contracts/limit.ts'
import type { ScriptConnection, ScriptValue } from '../../../contracts/script-server.ts'
import { isLeased } from '../lease.ts'
import type { SharedGateParts } from './gate-parts.ts'
import { type Answer, demandArguments, keysOf, numberOf, perCounter } from './script-calls.ts'
import type { ServerTime } from './server-time.ts'

export type ReserveCall = {
  /** Of the reservation. */
  readonly name: string
  /** Rather asked again, while other processes give back what they lease, than refused. */
  readonly patient: boolean
  readonly charges: readonly LimitCharge[]
  readonly demand: Demand
}

/** All limits of a request in one call. */
export function askReserve(
  parts: SharedGateParts,
  connection: ScriptConnection,
  { name, patient, charges, demand }: ReserveCall,
): Promise<Answer> {
  const model = demand.model ?? ''
  const nowMs = parts.time.nowMs()
  const args = [
    name,
    String(parts.options.lifetimeMs()),
    patient ? '1' : '0',
    ...demandArguments(demand, demand.outputTokens),
    demand.mayShrink === false ? '0' : '1',
    ...perCounter(charges, (charge) => {
      const { limit } = charge
      const seen = parts.seen.of(charge)
      seen.touchedAtMs = parts.options.clock.monotonicMs()
      const expected =
        limit.reserve === 'expected' ? seen.outputs.of(model).expectedOf(demand.outputTokens) : -1
      return [
        limit.mode === 'enforce' ? 1 : 0,
        limit.whenShort === 'shrink' ? 1 : 0,
        limit.minOutputTokens,
        expected,
        isLeased(limit, demand) ? 1 : 0,
        seen.mustExist(nowMs) ? 1 : 0,
      ]
    }),
  ]
  return parts.call(connection, 'reserve', keysOf(charges), args)
}

export function refusalFrom(
  told: readonly ScriptValue[],
  charges: readonly LimitCharge[],
  time: ServerTime,
): Refusal {
  const [index, used, reserved, amount, endsAtMs, waitMs, never] = told.map(numberOf)
  const charge = charges[index ?? 0]
  if (charge === undefined) throw new TypeError('The script refused for no limit.')
  const { limit, value } = charge
  return {
    limit,
    value,
    used: used ?? 0,
    reserved: reserved ?? 0,
    amount: amount ?? 0,
    resetsAtMs: endsAtMs === undefined || endsAtMs < 0 ? null : time.toWallMs(endsAtMs),
    retryAfterMs: waitMs === undefined || waitMs < 0 ? null : waitMs,
    neverFits: never === 1,
  }
}

/** A counter that is named twice is charged once. */
export function unique(charges: readonly LimitCharge[]): readonly LimitCharge[] {
  const keys = new Set<string>()
  return charges.filter(({ counterKey }) => {
    const first = !keys.has(counterKey)
    keys.add(counterKey)
    return first
  })
}
