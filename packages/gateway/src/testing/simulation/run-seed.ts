import { SimGateway, type SharedKeys, TOLD_MS } from './gateway.ts'
import { brokenAtEnd, brokenNow, overspent } from './invariants.ts'
import { KEY_COUNT } from './limits.ts'
import { SimProvider } from './provider.ts'
import { World } from './world.ts'

const FAULTS_MS = 20_000
const LEAST_GATEWAYS = 3
const MOST_GATEWAYS = 5

export type SeedResult = {
  /** What was broken, and when; null: nothing. */
  readonly problem: string | null
  readonly events: number
  readonly admitted: number
  readonly crashes: number
  readonly hash: number
}

/** One whole run: clients and faults for a while, then all is healed and must come to rest. */
export function runSeed(seed: number): SeedResult {
  const world = new World(seed)
  const provider = new SimProvider(world)
  const keys: SharedKeys = { revokedAtMs: Array.from({ length: KEY_COUNT }, () => null) }
  const takenOn: number[] = []
  const count = LEAST_GATEWAYS + world.below(MOST_GATEWAYS - LEAST_GATEWAYS + 1)
  const gateways = Array.from(
    { length: count },
    (_, index) => new SimGateway(index, { world, provider, keys }),
  )
  const crashes = { count: 0 }
  for (const [index, gateway] of gateways.entries()) {
    keepAsking(world, gateway)
    keepCrashing(world, gateway, crashes)
    keepSkewing(world, gateway)
    if (world.chance(0.5)) revokeOnce(world, { gateways, index, keys, takenOn })
  }
  let events = 0
  let problem: string | null = null
  try {
    while (problem === null && world.nowMs < FAULTS_MS + 30_000 && world.step()) {
      events += 1
      for (const gateway of gateways) problem ??= brokenNow(gateway, keys, takenOn)
    }
    for (const gateway of gateways) {
      problem ??= brokenAtEnd(gateway, provider) ?? overspent(gateway)
    }
  } catch (thrown) {
    problem = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
  }
  const admitted = gateways.reduce((sum, { admissions }) => sum + admissions.length, 0)
  const told = problem === null ? null : `at ${world.nowMs} ms: ${problem}`
  return { problem: told, events, admitted, crashes: crashes.count, hash: world.hash }
}

function keepAsking(world: World, gateway: SimGateway): void {
  world.after(world.below(900), () => {
    if (world.nowMs > FAULTS_MS) return
    gateway.request()
    if (world.chance(0.1)) for (let i = 0; i < 5; i++) gateway.request()
    keepAsking(world, gateway)
  })
}

function keepCrashing(world: World, gateway: SimGateway, crashes: { count: number }): void {
  world.after(1_000 + world.below(9_000), () => {
    if (world.nowMs > FAULTS_MS) return
    gateway.crash()
    crashes.count += 1
    world.after(world.below(2_000), () => gateway.start())
    keepCrashing(world, gateway, crashes)
  })
}

/** Somebody sets the clock of one machine. */
function keepSkewing(world: World, gateway: SimGateway): void {
  world.after(world.below(10_000), () => {
    if (world.nowMs > FAULTS_MS) return
    gateway.machine.skewMs = world.below(120_001) - 60_000
    keepSkewing(world, gateway)
  })
}

type Revoking = {
  readonly gateways: readonly SimGateway[]
  readonly index: number
  readonly keys: SharedKeys
  readonly takenOn: number[]
}

/** The machine that takes the revocation knows at once; messages to the others may be lost, late or repeated. */
function revokeOnce(world: World, { gateways, index, keys, takenOn }: Revoking): void {
  world.after(world.below(FAULTS_MS), () => {
    const key = world.below(KEY_COUNT)
    const taker = gateways[index]
    if (taker === undefined || !taker.isUp || keys.revokedAtMs[key] !== null) return
    keys.revokedAtMs[key] = world.nowMs
    takenOn[key] = index
    taker.learnRevoked(key)
    for (const other of gateways) {
      for (let copy = world.below(3); copy > 0; copy--) {
        world.after(world.below(TOLD_MS), () => other.isUp && other.learnRevoked(key))
      }
    }
  })
}
