import { parsePolicy } from '../config/policy-schema.ts'
import type { KeyRecord } from '../contracts/key.ts'
import { demandedAmount } from '../data-plane/limits/amounts.ts'
import type { TriedAdmission } from '../data-plane/what-if/try-admission.ts'
import { parseTimestampMs } from '../lib/duration.ts'
import { isRecord } from '../lib/is-record.ts'
import { mergePatch } from '../lib/merge-patch.ts'
import { sortableId } from '../lib/sortable-id.ts'
import { compileKey } from '../plan/compile-key.ts'
import { explainPolicy } from '../plan/explain-policy.ts'
import type { KeyState } from './admin-api.ts'
import { configProblems } from './admin-error.ts'
import { checkPolicyProviders } from './check-policy-providers.ts'
import type { Control } from './control.ts'
import { decisionView } from './decision-view.ts'
import { findKey } from './find-key.ts'
import { keyReference, keyState } from './key-view.ts'
import { simulatedLimits } from './simulated-limits.ts'
import { NOBODY } from './simulate-routing.ts'
import { invalid, simulatedCall } from './simulated-request.ts'
import type { PolicySimulation, PolicySimulationBody, SimulatedRefusal } from './what-if-api.ts'
import { timeText } from './written-times.ts'

const LOCALHOST = '127.0.0.1'
/** Clocks differ; what lies this little in the past is now. */
const JUST_NOW_MS = 60_000
const NANO_PER_USD = 1e9
const YEARS_AHEAD_MS = 10 * 366 * 86_400_000

/** What a request would come to, and why. Takes, tells and writes nothing. Throws `AdminError` or `PlanError`. */
export async function simulatePolicy(
  control: Control,
  body: PolicySimulationBody,
): Promise<PolicySimulation> {
  const call = simulatedCall(control, body)
  const named = body.key === undefined ? null : await findKey(control, body.key)
  const record = candidateOf(control, named ?? NOBODY, body)
  const { policies } = control.plan()
  const key = compileKey(record, policies)
  const aheadMs = aheadOf(control, body.at)
  const atMs = control.clock.wallMs() + aheadMs
  const state = keyState(control, record, atMs)
  const clientIp = body.ip ?? LOCALHOST
  const tried = await control.tryAdmission({
    ...call,
    key,
    keyIsUsable: state === 'active',
    fields: fieldsOf(body),
    clientIp,
    requestId: body.seed ?? sortableId('sim_', atMs),
    aheadMs,
  })
  const { endpoint, protocol } = call.served
  const explain = explainPolicy(record, policies, tried.model)
  return {
    admitted: tried.error === null,
    refusal: refusalOf(tried, state),
    at: timeText(atMs),
    key: named === null ? null : keyReference(named),
    endpoint: endpoint.endpoint,
    protocol: protocol.id,
    model: tried.model,
    target: tried.target?.id ?? null,
    targets: tried.targets.map(({ id }) => id),
    decision: tried.decision === null ? null : decisionView(tried.decision),
    output_cap: tried.outputCap,
    reserved: reservedOf(tried),
    limits: simulatedLimits(tried, {
      key,
      query: { endpoint: endpoint.endpoint, ip: clientIp, ...modelOf(tried) },
      sources: new Map(explain.fields.map(({ field, from }) => [field, from])),
    }),
    changes: changesOf(tried),
    explain,
  }
}

function modelOf({ model }: TriedAdmission): { readonly model?: string } {
  return model === null ? {} : { model }
}

/** The key as it would be. Throws `invalid_policy`. */
function candidateOf(control: Control, key: KeyRecord, body: PolicySimulationBody): KeyRecord {
  const policy = policyOf(key, body)
  const parsed = parsePolicy(policy, ['policy'])
  if (!parsed.ok) throw configProblems('invalid_policy', parsed.problems)
  checkPolicyProviders(control, parsed.policy, 'policy.')
  return {
    ...key,
    policy,
    policies: body.policies ?? key.policies,
    scopes: body.scopes ?? key.scopes,
    subject: { ...key.subject, ...body.subject },
    metadata: { ...key.metadata, ...body.metadata },
  }
}

function policyOf({ policy }: KeyRecord, body: PolicySimulationBody): KeyRecord['policy'] {
  if (body.policy === undefined) {
    if (body.merge === true) throw invalid('merge', 'needs a policy')
    return policy
  }
  if (body.merge !== true) return body.policy
  const merged = mergePatch(policy, body.policy)
  return isRecord(merged) ? merged : {}
}

/** Counters go only forward, so that what is past cannot be tried. */
function aheadOf({ clock }: Control, at: string | undefined): number {
  if (at === undefined) return 0
  const aheadMs = momentOf(at) - clock.wallMs()
  if (aheadMs < -JUST_NOW_MS) throw invalid('at', 'lies in the past; see POST /policies/replay')
  if (aheadMs > YEARS_AHEAD_MS) throw invalid('at', 'lies more than ten years ahead')
  return Math.max(0, Math.ceil(aheadMs))
}

function momentOf(at: string): number {
  try {
    return parseTimestampMs(at)
  } catch (cause) {
    throw invalid('at', cause instanceof Error ? cause.message : String(cause))
  }
}

function fieldsOf({ headers = {} }: PolicySimulationBody): readonly string[] {
  return Object.entries(headers).flatMap(([name, value]) => [name.toLowerCase(), value])
}

function refusalOf(
  { error, status, refusal, wouldWait }: TriedAdmission,
  state: KeyState,
): SimulatedRefusal | null {
  if (error === null) return null
  const { limit, headers } = error.details
  const told = headers?.['retry-after-ms'] ?? null
  return {
    status,
    code: error.code,
    message: error.message,
    detail: error.code === 'invalid_api_key' ? `the key is ${state}` : null,
    limit: limit ?? null,
    retry_after_ms: refusal?.retryAfterMs ?? (told === null ? null : Number(told)),
    would_wait: wouldWait,
  }
}

function reservedOf({ demand }: TriedAdmission): PolicySimulation['reserved'] {
  if (demand === null) return null
  const { inputTokens, outputTokens, fixedCostPicoUsd } = demand
  const costNanoUsd = demandedAmount('usd', demand, outputTokens)
  return {
    input_tokens: inputTokens,
    output_tokens: outputTokens,
    cost_usd: fixedCostPicoUsd === null ? null : costNanoUsd / NANO_PER_USD,
  }
}

function changesOf({
  target,
  requested,
  outputCap,
  translation,
}: TriedAdmission): PolicySimulation['changes'] {
  if (target === null) return null
  return {
    model: target.model === requested ? null : target.model,
    max_output_tokens: outputCap,
    prompts: target.prompts?.list.length ?? 0,
    protocol: translation?.protocol ?? null,
    losses: translation?.losses ?? [],
  }
}
