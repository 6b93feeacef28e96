import { setImmediate as nextTurn } from 'node:timers/promises'
import { GATE_SCRIPT } from '../../../data-plane/limits/shared/shared-gate.ts'
import { World } from '../world.ts'
import { SimMember } from './sim-member.ts'
import { type Kept, type SimClient, SimRedis } from './sim-redis.ts'
import { Truth } from './truth.ts'

/** The first beats: before them a process does not know that there are others. */
const CALM_MS = 1_500
const FAULTS_MS = 8_000
const HEALED_MS = 4_000
/** Together longer than reservations of the dead last. The server counts no more of a moment in which nobody is there. */
const LONG_STEPS = 50
const LONG_STEP_MS = 500
const LAST_MS = 3_000
/** Bad weather. */
const LOSS = 0.01
/** A server that lost its data waits for everybody who was there; who comes later may overspend by its lease. */
const SETTLING_MS = 3_500

export type SharedResult = {
  readonly problem: string | null
  readonly events: number
  readonly admitted: number
  /** Of these, without the server. */
  readonly alone: number
  readonly refused: number
  readonly faults: number
}

type Run = {
  readonly world: World
  readonly redis: SimRedis
  readonly truth: Truth
  readonly members: readonly SimMember[]
  readonly weather: { loss: number }
  faults: number
}

/**
 * `script`: of the gate; another one to see a planted fault found.
 *
 * Gateways that share one Redis, for a while with a bad network, crashes, wrong clocks and failovers, then healed. Either
 * gateways are killed or the server loses data, never both: what only the dead knew is then brought by their next start.
 */
export async function runSharedSeed(
  seed: number,
  client: SimClient,
  script: string = GATE_SCRIPT,
): Promise<SharedResult> {
  const world = new World(seed)
  const redis = await SimRedis.create(world, client, script)
  const truth = new Truth()
  const weather = { loss: 0 }
  const place = { world, redis, truth, weather, size: world.chance(0.5) ? 50 : 12 }
  const members = Array.from({ length: 3 + world.below(2) }, (_, i) => new SimMember(i, place))
  const run: Run = { world, redis, truth, members, weather, faults: 0 }
  for (const member of members) {
    member.machine.skewMs = world.below(120_001) - 60_000
    member.start()
    keepAsking(run, member)
  }
  world.after(CALM_MS, () => beginFaults(run))
  world.after(FAULTS_MS, () => heal(run))
  let events = 0
  let problem: string | null = null
  const goOn = async (untilMs: number): Promise<void> => {
    while (problem === null && world.nowMs < untilMs && world.step()) {
      events += 1
      problem = truth.broken()
      await redis.idle()
      await nextTurn()
    }
  }
  await goOn(FAULTS_MS + HEALED_MS)
  problem ??= brokenHealed(run)
  for (let steps = 0; steps < LONG_STEPS; steps++) {
    if (problem !== null) break
    world.skip(LONG_STEP_MS)
    await goOn(world.nowMs + 10)
  }
  await goOn(world.nowMs + LAST_MS)
  problem ??= await brokenAtEnd(run)
  for (const { link } of members) link?.kill()
  const sum = (field: 'admitted' | 'alone' | 'refused'): number =>
    members.reduce((all, member) => all + member[field], 0)
  const told = problem === null ? null : `at ${world.nowMs} ms: ${problem}`
  return {
    problem: told,
    events,
    admitted: sum('admitted'),
    alone: sum('alone'),
    refused: sum('refused'),
    faults: run.faults,
  }
}

function keepAsking(run: Run, member: SimMember): void {
  const { world } = run
  world.after(1 + world.below(250), () => {
    if (world.nowMs > FAULTS_MS) return
    void member.request()
    if (world.chance(0.05)) for (let i = 0; i < 6; i++) void member.request()
    keepAsking(run, member)
  })
}

function beginFaults(run: Run): void {
  const { world, weather, members } = run
  const serverForgets = world.chance(0.5)
  weather.loss = world.chance(0.5) ? LOSS : 0
  keepRestarting(run, serverForgets)
  keepSkewing(run)
  for (const member of members) {
    if (!serverForgets && world.chance(0.5)) crashOnce(run, member)
    // Who is away when a server comes back without data may overspend by its lease.
    if (world.chance(0.5)) cutOnce(run, member, serverForgets ? 0 : world.below(3_000))
  }
}

function heal({ weather, members, redis }: Run): void {
  weather.loss = 0
  redis.up = true
  for (const member of members) if (!member.isUp) member.start()
}

function keepRestarting(run: Run, serverForgets: boolean): void {
  const { world, redis, weather } = run
  world.after(200 + world.below(2_000), () => {
    if (world.nowMs > FAULTS_MS - SETTLING_MS - 1_000) return
    run.faults += 1
    const kept = keptBy(run, serverForgets)
    if (kept === 'what a replica had') void redis.cutReplica()
    world.after(world.below(300), () => {
      redis.crash()
      const loss = weather.loss
      // Who is not back in time may overspend by its lease; that is said in the guide.
      if (kept !== 'all') weather.loss = 0
      world.after(100 + world.below(900), () => void redis.comeBack(kept))
      world.after(SETTLING_MS, () => {
        if (world.nowMs < FAULTS_MS) weather.loss = loss
      })
    })
    world.after(SETTLING_MS, () => keepRestarting(run, serverForgets))
  })
}

function keptBy({ world }: Run, serverForgets: boolean): Kept {
  if (!serverForgets) return 'all'
  return world.chance(0.5) ? 'nothing' : 'what a replica had'
}

function keepSkewing(run: Run): void {
  const { world, redis } = run
  world.after(world.below(6_000), () => {
    if (world.nowMs > FAULTS_MS) return
    redis.skewMs = world.below(120_001) - 60_000
    keepSkewing(run)
  })
}

function crashOnce(run: Run, member: SimMember): void {
  run.world.after(run.world.below(FAULTS_MS - CALM_MS), () => {
    if (!member.isUp) return
    run.faults += 1
    member.crash()
    run.world.after(run.world.below(2_000), () => {
      if (!member.isUp) member.start()
    })
  })
}

function cutOnce(run: Run, member: SimMember, forMs: number): void {
  run.world.after(run.world.below(FAULTS_MS - CALM_MS), () => {
    run.faults += 1
    member.link?.cut(forMs)
  })
}

/** 21: everything comes back soon after the faults stop. */
function brokenHealed({ members }: Run): string | null {
  for (const [index, member] of members.entries()) {
    const { gate } = member
    if (gate?.problem() !== null) return `21: gateway ${index} is still away: ${gate?.problem()}`
    if (member.openCalls() > 0) return `21: gateway ${index} still has calls`
    if (gate.openReservations() > 0) return `21: gateway ${index} still holds reservations`
  }
  return null
}

/**
 * 2, 3: nothing is held for ever, nothing that was used is forgotten, and nothing is counted twice. What a gateway had open
 * when it was killed is counted as if all of it had been used.
 */
async function brokenAtEnd({ members, truth, world, redis }: Run): Promise<string | null> {
  const [first] = members
  const listed = first?.gate?.list() ?? Promise.resolve([])
  const views = await finished(listed, world, redis)
  const isWhole = members.every(({ crashes }) => crashes === 0)
  for (const { id, scope, value, used, reserved, amount } of views) {
    const told = `${id} of ${value}: ${used} used, ${reserved} held of ${amount}`
    if (reserved !== 0) return `2: held for ever: ${told}`
    if (id === 'parallel') continue
    const { least, most } = truth.usedOf(`${id}|${scope}|${value}`)
    if (used < least) return `3: ${told}, and ${least} were used`
    if (used > (isWhole ? most : amount)) return `3: ${told}, and at most ${most} were used`
  }
  return null
}

/** An answer that needs the simulation to go on. */
async function finished<Value>(
  work: Promise<Value>,
  world: World,
  redis: SimRedis,
): Promise<Value> {
  const state = { done: false }
  const tracked = work.finally(() => (state.done = true))
  await nextTurn()
  while (!state.done && world.step()) {
    await redis.idle()
    await nextTurn()
  }
  return await tracked
}
