import { candidateConfig } from '../config/candidate-config.ts'
import type { GatewayConfig } from '../config/gateway-config.ts'
import type { PolicyConfig } from '../config/policy-config.ts'
import { parsePolicy } from '../config/policy-schema.ts'
import type { KeyRecord } from '../contracts/key.ts'
import type { Store } from '../contracts/store.ts'
import { replay, type Ruling } from '../data-plane/what-if/replay.ts'
import { isRecord } from '../lib/is-record.ts'
import { mergePatch } from '../lib/merge-patch.ts'
import { checkKey, compileKey } from '../plan/compile-key.ts'
import type { GatewayPlan, KeyPlan } from '../plan/gateway-plan.ts'
import { PlanError } from '../plan/plan-error.ts'
import type { JsonObject } from './admin-api.ts'
import { AdminError, configProblems } from './admin-error.ts'
import { checkPolicyProviders } from './check-policy-providers.ts'
import type { Control } from './control.ts'
import { allKeys, findKey } from './find-key.ts'
import { type ReplayScope, replayView } from './replay-view.ts'
import { invalid } from './simulated-request.ts'
import { recordFilter } from './usage-view.ts'
import type { PolicyReplay, ReplayBody } from './what-if-api.ts'

const DEFAULT_SINCE = '7d'
const MAX_RECORDS = 1_000_000
/** One at a time: two would only take each other's turns. */
const RUNNING = new WeakSet<Store>()

/** What recorded requests had come to under another policy or configuration. Throws `AdminError` or `PlanError`. */
export async function replayPolicy(
  control: Control,
  body: ReplayBody,
  signal: AbortSignal,
): Promise<PolicyReplay> {
  const startedMs = performance.now()
  const filter = recordFilter(
    {
      since: body.since ?? DEFAULT_SINCE,
      ...(body.until === undefined ? {} : { until: body.until }),
    },
    control.clock.wallMs(),
  )
  const { sinceMs = 0, untilMs = Infinity } = filter
  if (sinceMs >= untilMs) throw invalid('until', 'lies before since')
  const candidate = await candidateOf(control, body)
  const keys = new Map((await allKeys(control)).map((key) => [key.id, key]))
  const { change } = candidate
  const before = rulingOf(control.plan(), (id) => keys.get(id))
  const after = rulingOf(candidate.plan, (id) => (change?.id === id ? change : keys.get(id)))
  if (RUNNING.has(control.store)) {
    throw new AdminError(
      'replay_running',
      'Another replay is running; try again when it has ended.',
    )
  }
  RUNNING.add(control.store)
  try {
    const { scope } = candidate
    const replayed = await replay({
      records: control.store.records.iterate(filter),
      protocols: control.protocols,
      before,
      after,
      isTold: ({ keyId, team }) =>
        scope.kind === 'all' || scope.value === (scope.kind === 'key' ? keyId : team),
      maxRecords: MAX_RECORDS,
      signal,
    })
    const durationMs = performance.now() - startedMs
    return replayView(replayed, { filter, scope, durationMs, lost: lostOf(candidate) })
  } catch (thrown) {
    if (!signal.aborted) throw thrown
    throw new AdminError('invalid_request', 'Whoever asked for the replay has left.')
  } finally {
    RUNNING.delete(control.store)
  }
}

/** What the candidate says without effect, because it would be looser than what the key inherits. */
function lostOf({ change, plan }: Candidate): readonly string[] {
  if (change === null) return []
  return checkKey(change, plan.policies)
    .filter(({ from }) => from === 'key')
    .map(({ field, problem }) => `policy.${field} has no effect: ${problem}.`)
}

type Candidate = {
  readonly plan: GatewayPlan
  /** The key as it would be; null: no key changes. */
  readonly change: KeyRecord | null
  readonly scope: ReplayScope
}

async function candidateOf(control: Control, body: ReplayBody): Promise<Candidate> {
  checkQuestion(body)
  const { key: id, team, policy, config } = body
  const parsed = policy === undefined ? null : checkedPolicy(control, policy)
  if (id !== undefined) return await keyCandidate(control, id, body)
  const layer = parsed === null ? null : { team: team ?? null, policy: parsed }
  const scope: ReplayScope =
    team === undefined ? { kind: 'all', value: null } : { kind: 'team', value: team }
  return { plan: planOf(control, config ?? {}, layer), change: null, scope }
}

function checkQuestion({ key, team, policy, config, merge }: ReplayBody): void {
  if (policy === undefined && config === undefined) {
    throw invalid('policy', 'is required, or config: what should be tried')
  }
  if (key !== undefined && team !== undefined) throw invalid('team', 'cannot be given with key')
  if (merge === true && (key === undefined || policy === undefined)) {
    throw invalid('merge', "is for a key's own policy")
  }
}

async function keyCandidate(control: Control, id: string, body: ReplayBody): Promise<Candidate> {
  const key = await findKey(control, id)
  const change = body.policy === undefined ? null : changedKey(control, key, body)
  const plan = body.config === undefined ? control.plan() : planOf(control, body.config, null)
  // A policy that cannot be compiled is told now, and not as one that refuses everything.
  if (change !== null) compileKey(change, plan.policies)
  return { plan, change, scope: { kind: 'key', value: key.id } }
}

function checkedPolicy(control: Control, policy: JsonObject): PolicyConfig {
  const parsed = parsePolicy(policy, ['policy'])
  if (!parsed.ok) throw configProblems('invalid_policy', parsed.problems)
  checkPolicyProviders(control, parsed.policy, 'policy.')
  return parsed.policy
}

function changedKey(control: Control, key: KeyRecord, { policy, merge }: ReplayBody): KeyRecord {
  if (merge !== true) return { ...key, policy: policy ?? {} }
  const merged = mergePatch(key.policy, policy)
  const own = isRecord(merged) ? merged : {}
  checkedPolicy(control, own)
  return { ...key, policy: own }
}

type Layer = { readonly team: string | null; readonly policy: PolicyConfig }

function planOf(control: Control, sections: JsonObject, layer: Layer | null): GatewayPlan {
  const running = control.config().config
  const config = candidateConfig(running, sections, control.secretSources())
  return control.planOf(layer === null ? config : withLayer(config, layer, sections))
}

/** What is said twice could be meant either way. */
function withLayer(config: GatewayConfig, layer: Layer, sections: JsonObject): GatewayConfig {
  const { team, policy } = layer
  if (team === null) {
    if (sections['policy'] !== undefined) throw invalid('policy', 'stands in config too')
    return { ...config, policy }
  }
  return { ...config, teams: { ...config.teams, [team]: { policy } } }
}

/** Whether a key was enabled then is not asked: it was used. */
function rulingOf(plan: GatewayPlan, recordOf: (id: string) => KeyRecord | undefined): Ruling {
  const compiled = new Map<string, KeyPlan | null>()
  return {
    plan,
    keyOf(id) {
      let key = compiled.get(id)
      if (key === undefined) {
        key = plan.anonymous?.record.id === id ? plan.anonymous : compiledKey(recordOf(id), plan)
        compiled.set(id, key)
      }
      return key
    },
  }
}

function compiledKey(record: KeyRecord | undefined, plan: GatewayPlan): KeyPlan | null {
  if (record === undefined) return null
  try {
    return compileKey(record, plan.policies)
  } catch (thrown) {
    if (thrown instanceof PlanError) return null
    throw thrown
  }
}
